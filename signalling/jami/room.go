package jami

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"rendezvous/conference"
	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/mixer/leg"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/call"
	"rendezvous/signalling/jami/conversation"
	"rendezvous/signalling/jami/roomlog"
	"rendezvous/signalling/jami/sipchannel"
	"rendezvous/signalling/keypad"
	"rendezvous/swarm"
)

// roomAccount is one room on the Jami network: its account, the SIP channels of its devices,
// the calls on them, and its conversations.
type roomAccount struct {
	log     *slog.Logger
	room    string
	account *account.Account
	sip     *sipchannel.Exchange
	server  *call.Server

	conversations *conversation.Service       // nil if the room is to have no conversation, or it cannot have one yet
	book          *roomlog.Log                // what roomlog will be, once it is begun; nil if conversations is
	roomlog       atomic.Pointer[roomlog.Log] // nil while it has none

	cancel context.CancelFunc
	wg     sync.WaitGroup

	late   sync.Mutex // held while the room log is begun after the account was opened; guards closed
	closed bool
}

// leadIn is the silence before the first words to a caller: FFmpeg looks at a stream for up to
// two seconds before a daemon plays any of it.
const leadIn = 2 * time.Second

// open makes one room an account on the network.
func (d *Door) open(r *conference.Room) (err error) {
	a := &roomAccount{log: d.log.With("room", r.ID()), room: r.ID(), cancel: func() {}}
	defer func() {
		if err != nil {
			d.shut(a)
		}
	}()
	policy := account.Policy{}
	if d.cfg.Policy != nil {
		policy = d.cfg.Policy(r.ID())
	}
	began := time.Now()
	a.account, err = account.Open(account.Config{
		Dir: d.dir(r.ID()), DisplayName: r.Title(), Avatar: d.picture(r.ID()), Node: d.node,
		Listener: d.listener, Gatherer: d.gatherer, Policy: policy, KeyBits: d.cfg.KeyBits,
		Logger: a.log, Metrics: d.metrics,
	})
	if err != nil {
		return err
	}
	a.sip = sipchannel.New(sipchannel.Config{
		Account: a.account.ID().String(), Name: r.Title, Dial: a.dialSIP, Malformed: d.callMetrics.Malformed, Log: a.log,
	})
	a.server, err = call.NewServer(call.Config{
		Log: a.log, Account: a.account.ID().String(), Device: a.account.Device().Long.String(), DeviceShort: a.account.Device().Short.String(),
		Title: r.Title, Profile: a.account.VCard, ICE: d.cfg.ICE, H265: d.cfg.H265, LegMetrics: d.cfg.LegMetrics, Metrics: d.callMetrics,
		Tracer: d.cfg.Tracer, Room: r.ID(),
		Keypad: keypad.Config{Words: d.words, Foyer: d.cfg.Host.Foyer, LeadIn: leadIn},
		Join: func(ctx context.Context, c conference.Caller, l *leg.Leg, ln conference.Listener) (*conference.Member, error) {
			if m := a.roomlog.Load(); m != nil && c.Grant == nil {
				c.Grant = m.Grant(c.Identity)
			}
			return r.Join(ctx, c, l, ln)
		},
	})
	if err != nil {
		return err
	}
	// A room without its conversation can be called and met in all the same.
	lack := noConversation(d.converse(a, r))
	a.sip.OnRequest(a.server.Receive) // all that is not about conversations
	a.sip.OnEnd(a.server.Ended)
	a.account.OnSIPChannel(a.sip.Serve)
	a.account.OnTrustRequest(asked(r))
	if err := a.account.Start(d.ctx); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return net.ErrClosed
	}
	if d.draining {
		a.server.Drain()
	}
	d.rooms[r.ID()] = a
	close(d.opened)
	d.opened = make(chan struct{})
	d.lack(r, lack)
	a.log.Info("Jami account open", "id", a.account.ID(), "after", time.Since(began).Round(time.Millisecond))
	ctx, cancel := context.WithCancel(d.ctx)
	a.cancel = cancel
	a.wg.Go(func() { a.announced(ctx, began) })
	return nil
}

// converse gives the room its conversation, if it is to have one.
func (d *Door) converse(a *roomAccount, r *conference.Room) error {
	m, err := d.newLog(a, r)
	if m == nil || err != nil {
		return err
	}
	a.conversations, err = conversation.New(conversation.Config{
		Account: a.account, SIP: a.sip, Log: a.log,
		Swarm: swarm.Config{
			Dir: d.conversations(r.ID()), OnEntry: m.Entry, OnInvitation: m.Invited, OnVCard: m.Profile,
			OpenFile: d.cfg.OpenFile, Metrics: d.swarmMetrics, OnRepaired: func(*swarm.Conversation) { d.beginLate(a, r) },
		},
	})
	if err != nil {
		return err
	}
	a.book = m
	a.conversations.OnContact(func(c account.Contact) { m.Contact(c.Account) })
	return d.begin(a, r)
}

// newLog is a log for the room, nil if it is to have none.
func (d *Door) newLog(a *roomAccount, r *conference.Room) (*roomlog.Log, error) {
	if d.cfg.Conversation == nil {
		return nil, nil
	}
	policy, ok := d.cfg.Conversation(r.ID())
	if !ok {
		return nil, nil
	}
	return roomlog.New(roomlog.Config{
		Room: r, Policy: policy, Account: a.account.ID(), Device: a.account.Device().Long, Contacts: a.contacts,
		Avatar: d.picture(r.ID()), StateFile: filepath.Join(d.dir(r.ID()), "conversation.json"), Log: a.log, Metrics: d.logMetrics,
	})
}

// begin starts a room's log.
func (d *Door) begin(a *roomAccount, r *conference.Room) error {
	d.tell(r.ID(), a.book)
	if err := a.book.Start(a.conversations.Swarm()); err != nil {
		d.books.CompareAndDelete(r.ID(), a.book)
		return err
	}
	a.roomlog.Store(a.book)
	return nil
}

// beginLate starts a room's log that could not be begun before, and reports whether it has begun: its conversation could
// not be made, or was damaged and has now come from a member.
func (d *Door) beginLate(a *roomAccount, r *conference.Room) bool {
	a.late.Lock()
	defer a.late.Unlock()
	if a.closed || a.roomlog.Load() != nil {
		return true
	}
	err := d.begin(a, r)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lack(r, noConversation(err))
	if err == nil {
		a.log.Info("the room has its conversation now")
	}
	return err == nil
}

// announced goes on when others can find the account.
func (a *roomAccount) announced(ctx context.Context, began time.Time) {
	if a.account.WaitPublished(ctx) != nil {
		return // closed before
	}
	a.log.Info("Jami account announced", "id", a.account.ID(), "after", time.Since(began).Round(time.Millisecond))
	if a.conversations != nil {
		a.conversations.Start()
	}
}

// contacts are the accounts that are contacts and not banned.
func (a *roomAccount) contacts() []value.Key {
	var out []value.Key
	for _, c := range a.account.Contacts() {
		if c.Confirmed && !c.Banned {
			out = append(out, c.Account)
		}
	}
	return out
}

// shut hangs up, writes the last of the log and takes an account off the network. It can be
// one that was opened by half.
func (d *Door) shut(a *roomAccount) {
	if a.server != nil {
		a.server.Close()
	}
	a.late.Lock()
	a.closed = true
	a.late.Unlock()
	if m := a.roomlog.Load(); m != nil {
		d.books.CompareAndDelete(a.room, m)
		m.Close()
	}
	a.cancel()
	a.wg.Wait()
	var errs []error
	if a.conversations != nil {
		errs = append(errs, a.conversations.Close())
	}
	if a.sip != nil {
		a.sip.Close()
	}
	if a.account != nil {
		errs = append(errs, a.account.Close())
	}
	if err := errors.Join(errs...); err != nil {
		a.log.Warn("closing account", "error", err)
	}
}

// dialSIP opens a new SIP channel to a device.
func (a *roomAccount) dialSIP(ctx context.Context, to identity.KeyIDs, connType string) (sipchannel.Stream, error) {
	ch, err := a.account.OpenChannel(ctx, to, "sip", connType)
	if err != nil {
		return nil, err
	}
	return ch, nil
}

// Event tells the minutes of the rooms what happens in them; give it to conference.Config.Events. It
// does not block.
func (d *Door) Event(e conference.Event) {
	m, ok := d.books.Load(e.Room)
	if !ok && !d.early.take(e) {
		m, ok = d.books.Load(e.Room) // it may have begun meanwhile
	}
	if ok {
		m.(*roomlog.Log).Event(e)
	}
}

// Kept returns when what a room has been told to Event before will get into its conversation, whatever happens to the host; give
// it to conference.Config.Kept.
func (d *Door) Kept(room string) {
	d.early.wait(room)
	if m := d.RoomLog(room); m != nil {
		m.Sync()
	}
}

// RoomLog is that of a room, nil if it has none.
func (d *Door) RoomLog(room string) *roomlog.Log {
	if m, ok := d.books.Load(room); ok {
		return m.(*roomlog.Log)
	}
	return nil
}
