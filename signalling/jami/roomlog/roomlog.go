package roomlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/dht/value"
	"rendezvous/moderation"
	"rendezvous/signalling/jami/vcard"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// Room is the room whose log is kept; *conference.Room is one, and says what the methods do.
type Room interface {
	ID() string
	Title() string
	Info() *conference.Info
	RoleOf(identity string) (role moderation.Role, banned bool)
	Order(by conference.Operator, o moderation.Order) error
}

// Policy is what an administrator decides about a room's conversation.
type Policy struct {
	Mode       commit.Mode // of the conversation, when it is made; zero: invites only
	Invite     settings.Invite
	Members    []value.Key // who is always invited
	Join       settings.Join
	Moderators settings.Moderators
}

// Config is what the Minutes of a room are made of.
type Config struct {
	Room   Room
	Policy Policy
	// Account and Device are the room's own ids on the network.
	Account value.Key
	Device  value.LongID
	// Contacts lists the accounts that are contacts and not banned.
	Contacts func() []value.Key
	Avatar   []byte // picture of the conversation, PNG or JPEG; empty for none
	// StateFile keeps which conversation is the room's own, and what is under way.
	StateFile string
	Log       *slog.Logger // nil is silent
	Metrics   *Metrics
}

// Bounds.
const (
	maxWaiting  = 4096 // events that wait to be treated
	maxLines    = 256  // lines of members that wait for their turn
	maxLinesOut = 2048 // lines of the room that wait for theirs, or for room on the disk
	maxNames    = 4096 // members whose names are remembered
	maxMembers  = 1000 // of the room's conversation, that we invite
	maxGuest    = 64   // other conversations that we join

	parting = 700 * time.Millisecond

	linesBurst = 30 // lines at once, each way
	linesRate  = 8  // and a second
)

// Log keeps one room's conversation. What happens is told to it by Event, Entry,
// Invited, Profile and Contact, which never block. One goroutine puts what was said and ordered into the spool (Sync waits
// for it), another does the rest.
type Log struct {
	cfg     Config
	log     *slog.Logger
	state   *state
	spool   *spool
	events  *backlog      // of conference.Event, and chan struct{} to be closed: on their way into the spool
	kept    chan struct{} // closed when nothing more comes from there
	box     *backlog
	own     atomic.Pointer[swarm.Conversation] // nil until there is one
	made    *swarm.Conversation                // by a Start that could not save it
	swarm   *swarm.Swarm
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	guests  chan swarm.Invitation // that are to be accepted
	started atomic.Bool

	// Owned by run.
	into   func(commit.Message) (repo.Entry, error) // the conversation; replaced in tests
	failed failed
	held   []spooled // from before the start
	out    *pace[spooled]
	in     *pace[entry]
	orders batch
	names  map[value.Key]string // from profiles
	wrote  time.Time            // last
	shown  shown                // when the profile was last looked at
	opened time.Time            // events of meetings before that are in the Info that was looked at then
}

// shown is what a conversation's profile depends on besides the configuration.
type shown struct {
	conversation, head, title string
}

// What comes through the box, besides spooled events.
type (
	entry struct {
		conversation *swarm.Conversation
		repo.Entry
	}
	card struct {
		account value.Key
		name    string
	}
	contact struct{ account value.Key }
)

// New returns a log that takes note of what happens, but does nothing yet. It fails without a room or a state file, and if
// the state is there and cannot be read.
func New(cfg Config) (*Log, error) {
	if cfg.Room == nil || cfg.StateFile == "" {
		return nil, errors.New("roomlog: room and state file are required")
	}
	if cfg.Policy.Mode == commit.OneToOne {
		cfg.Policy.Mode = commit.InvitesOnly
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Contacts == nil {
		cfg.Contacts = func() []value.Key { return nil }
	}
	s, err := openState(cfg.StateFile)
	if err != nil {
		return nil, err
	}
	m := &Log{cfg: cfg, log: cfg.Log, state: s, box: newBacklog(maxWaiting), guests: make(chan swarm.Invitation, maxGuest),
		events: newBacklog(maxWaiting), kept: make(chan struct{}),
		out: newPace[spooled](linesBurst, linesRate, maxLinesOut), in: newPace[entry](linesBurst, linesRate, maxLines),
		names: map[value.Key]string{}}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.into = func(msg commit.Message) (repo.Entry, error) { return m.own.Load().Say(msg) }
	return m, nil
}

// Start opens the room's conversation, or makes it, and begins to work. The account's
// swarm must have been given Entry, Invited and Profile to call. After an error it can be called again, one call after the other.
func (m *Log) Start(s *swarm.Swarm) error {
	if err := m.open(s); err != nil {
		return err
	}
	m.swarm = s
	var err error
	if m.spool, m.held, err = openSpool(m.cfg.StateFile + ".spool"); err != nil {
		m.log.Error("what is said in the room is lost if the host ends before it is in the conversation", "error", err)
	}
	m.started.Store(true)
	m.wg.Go(m.keep)
	m.wg.Go(m.run)
	m.wg.Go(m.visit)
	return nil
}

// Close writes what is still to be written, ends the meeting's call and waits. The swarm must
// still be open.
func (m *Log) Close() {
	m.cancel()
	m.wg.Wait()
	if m.spool != nil {
		m.spool.close()
	}
}

// open finds or makes the room's own conversation.
func (m *Log) open(s *swarm.Swarm) error {
	id := m.state.get().Conversation
	c := s.Conversation(id)
	switch {
	case c != nil:
	case id != "":
		return fmt.Errorf("roomlog: the room's conversation %s is not there or cannot be read; restore it, or remove %s to begin a new one", id, m.cfg.StateFile)
	default:
		if c = m.made; c == nil {
			var err error
			if c, err = s.Create(m.cfg.Policy.Mode, nil); err != nil {
				return fmt.Errorf("roomlog: %w", err)
			}
			m.made = c
		}
		if err := m.state.change(func(d *stateData) { d.Conversation = c.ID() }); err != nil {
			m.state.note(func(d *stateData) { d.Conversation = "" }) // it is not saved: the next try does that
			return err
		}
		m.log.Info("conversation made", "conversation", c.ID(), "mode", m.cfg.Policy.Mode)
	}
	m.show(c)
	m.own.Store(c)
	return nil
}

// show brings the conversation's profile up to date: the room's title may have changed. It is looked at often, and nothing is read
// while there is nothing new.
func (m *Log) show(c *swarm.Conversation) {
	now := shown{c.ID(), c.Repository().Head().String(), m.cfg.Room.Title()}
	if now == m.shown {
		return
	}
	m.shown = now
	want := repo.Profile{Title: now.title, Avatar: m.cfg.Avatar, HostAccount: m.cfg.Account.String(), HostDevice: m.cfg.Device.String()}
	have := c.Repository().Profile()
	want.Description = have.Description // a client may have set one
	if len(want.Avatar) == 0 {
		want.Avatar = have.Avatar
	}
	if have.Title != want.Title || have.HostAccount != want.HostAccount || have.HostDevice != want.HostDevice || string(have.Avatar) != string(want.Avatar) {
		if _, err := c.SetProfile(want); err != nil {
			m.shown = shown{} // it is tried again
			m.log.Warn("the conversation's profile cannot be set", "error", err)
		}
	}
}

// Conversation is the room's own, nil before Start.
func (m *Log) Conversation() *swarm.Conversation { return m.own.Load() }

// Event tells of something that happened in the room.
func (m *Log) Event(e conference.Event) {
	switch e.Kind {
	case conference.EventChat:
		if e.Door == door {
			return // it comes from there
		}
	case conference.EventOrder, conference.EventMeetingBegan, conference.EventMeetingEnded, conference.EventJoined:
	default:
		return
	}
	switch old := m.events.put(e).(type) {
	case chan struct{}:
		close(old)
	case conference.Event:
		m.cfg.Metrics.drop("event")
	}
}

// Entry tells of a new commit in any conversation: swarm.Config.OnEntry.
func (m *Log) Entry(c *swarm.Conversation, e repo.Entry) {
	if e.Device != m.cfg.Device {
		m.post(entry{c, e})
	}
}

// Invited tells of an invitation: swarm.Config.OnInvitation.
func (m *Log) Invited(i swarm.Invitation) { m.post(i) }

// Contact tells of an account that became a contact.
func (m *Log) Contact(account value.Key) { m.post(contact{account}) }

// Profile tells of a profile that a member sent: swarm.Config.OnVCard.
func (m *Log) Profile(p swarm.Peer, b []byte) {
	c, err := vcard.Parse(b)
	if err != nil {
		return
	}
	if name := moderation.CleanName(c.Name); name != "" {
		m.post(card{p.Account, name})
	}
}

// post queues what is to be treated. When too much waits, the oldest goes.
func (m *Log) post(v any) {
	old := m.box.put(v)
	if old == nil {
		return
	}
	m.cfg.Metrics.drop("event")
	if e, ok := old.(spooled); ok {
		m.spool.done(e.id)
	}
}

func (m *Log) run() {
	m.resume()
	m.resumeSpool()
	m.inviteAll()
	m.acceptAgain()
	timer := time.NewTimer(0)
	defer timer.Stop()
	seen := time.NewTicker(seenEvery)
	defer seen.Stop()
	for {
		select {
		case <-m.box.more:
			if v, ok := m.box.take(); ok {
				m.treat(v)
			}
		case <-timer.C:
		case <-seen.C:
			m.stillOn()
			m.show(m.own.Load())
		case <-m.ctx.Done():
			m.finish()
			return
		}
		if wait := m.work(time.Now()); wait > 0 {
			timer.Reset(wait)
		}
	}
}

// finish treats what has come until now.
func (m *Log) finish() {
	<-m.kept
	for v, ok := m.box.take(); ok; v, ok = m.box.take() {
		m.treat(v)
	}
	for len(m.out.queue) > 0 && m.write(m.out.queue[0]) { // what cannot be written stays in the spool
		m.out.queue = m.out.queue[1:]
	}
	m.flush()
	m.ended(time.Now())
	m.part()
}

// part gives the members' devices the time to fetch what was written last: else they would show
// a meeting that is over until we are back.
func (m *Log) part() {
	others := slices.ContainsFunc(m.own.Load().Repository().Members(), func(o repo.Member) bool { return o.Role.Belongs() && o.Account != m.cfg.Account })
	if left := time.Until(m.wrote.Add(parting)); others && left > 0 {
		time.Sleep(left)
	}
}

func (m *Log) treat(v any) {
	switch v := v.(type) {
	case spooled:
		m.event(v)
	case entry:
		m.entry(v)
	case swarm.Invitation:
		m.invited(v)
	case card:
		if len(m.names) >= maxNames {
			clear(m.names)
		}
		m.names[v.account] = v.name
	case contact:
		if m.cfg.Policy.Invite != settings.InviteNobody {
			m.invite(v.account)
		}
	}
}

func (m *Log) event(e spooled) {
	switch e.Kind {
	case conference.EventChat:
		if old, dropped := m.out.add(e); dropped {
			m.spool.done(old.id)
			m.cfg.Metrics.drop("line-out")
		}
	case conference.EventOrder:
		m.exclude(e.Order)
		m.order(e)
	case conference.EventMeetingBegan:
		if e.Time.After(m.opened) {
			m.began(e.Time)
		}
	case conference.EventMeetingEnded:
		if e.Time.After(m.opened) {
			m.ended(e.Time)
		}
	case conference.EventJoined:
		m.attended(e.Name)
		if m.cfg.Policy.Invite == settings.InviteCallers && e.Door == "jami" {
			if account, ok := accountOf(e.Identity); ok {
				m.invite(account)
			}
		}
	}
}

// work does what is due and returns when there is more to do; zero: nothing.
func (m *Log) work(now time.Time) (wait time.Duration) {
	// One of each at a time, so that what comes meanwhile is taken in.
	sooner := func(d time.Duration) {
		if d > 0 && (wait == 0 || d < wait) {
			wait = d
		}
	}
	if left := m.failed.until.Sub(now); left > 0 {
		sooner(left) // the conversation takes nothing at present
	} else {
		sooner(m.writeNext(now))
	}
	if e, ok, later := m.in.take(now); ok {
		m.read(e)
		sooner(time.Nanosecond)
	} else {
		sooner(later)
	}
	return wait
}

// writeNext puts a line and the orders that are due into the conversation, and returns when there is more to do; zero: nothing.
func (m *Log) writeNext(now time.Time) (wait time.Duration) {
	// One at a time, so that what comes meanwhile is taken in.
	e, ok, wait := m.out.take(now)
	if ok {
		if wait = time.Nanosecond; !m.write(e) {
			m.out.putBack(e)
			return m.failed.until.Sub(now)
		}
	}
	switch due := m.orders.due(now); {
	case due == 0:
		if !m.flush() {
			return m.failed.until.Sub(now)
		}
	case due > 0 && (wait == 0 || due < wait):
		wait = due
	}
	return wait
}

// say writes a message into the room's conversation.
func (m *Log) say(msg commit.Message) (repo.Entry, bool) {
	e, err := m.into(msg)
	now := time.Now()
	if err != nil {
		m.cfg.Metrics.fail()
		m.log.Error("nothing can be written into the conversation", "type", msg.Type, "waiting", m.spool.waiting(), "error", err)
		m.failed.again(now)
		return e, false
	}
	m.failed = failed{}
	m.wrote = now
	return e, true
}

// Pauses after which a conversation that takes nothing is tried again.
const (
	firstPause = 5 * time.Second
	mostPause  = time.Minute
)

// failed is how long a conversation that takes nothing, as the disk is full, is left in peace.
type failed struct {
	pause time.Duration
	until time.Time
}

func (f *failed) again(now time.Time) {
	f.pause = min(max(firstPause, 2*f.pause), mostPause)
	f.until = now.Add(f.pause)
}
