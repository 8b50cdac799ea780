package conversation

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/connection"
	"rendezvous/signalling/jami/connection/mux"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// The account may have other devices: a Jami client that was given its backup, say. Each device
// opens a "sync://DEVICE" channel to each of the others and writes there what it knows, at first
// and whenever something has changed. Daemons read what comes on channels that they accepted, and
// write on either; so we write on those that we opened, and read on all.

const (
	syncScheme = "sync://"

	lookAgain   = 5 * time.Minute        // for devices that did not come to us: after half to one and a half of it
	syncSettle  = 200 * time.Millisecond // in which changes are gathered
	relinkPause = time.Second
	cloneTries  = 4
	clonePause  = 3 * time.Second

	maxOwnDevices = 32  // that we have channels with
	maxWanted     = 256 // conversations that wait to be cloned
)

// ownSync keeps this device of the account in step with the others.
type ownSync struct {
	s      *Service
	nudged chan struct{} // cap 1: something has changed

	mu      sync.Mutex // guards the rest
	links   map[value.LongID]*ownLink
	opening map[value.LongID]bool
	serving map[value.LongID]int
	wanted  map[string]swarm.Peer // conversations to be cloned, and from whom
	cloning bool
}

// ownLink is a channel that we opened to another device.
type ownLink struct {
	peer connection.Peer
	ch   net.Conn

	mu   sync.Mutex // held while it is written to
	sent [sha256.Size]byte
}

func newOwnSync(s *Service) *ownSync {
	return &ownSync{s: s, nudged: make(chan struct{}, 1), links: map[value.LongID]*ownLink{},
		opening: map[value.LongID]bool{}, serving: map[value.LongID]int{}, wanted: map[string]swarm.Peer{}}
}

// nudge says that something has changed that other devices are to know. It does not block.
func (o *ownSync) nudge() {
	select {
	case o.nudged <- struct{}{}:
	default:
	}
}

// watched has the other devices told of what happens to the conversations.
func (o *ownSync) watched(c swarm.Config) swarm.Config {
	entry, joined, invitation := c.OnEntry, c.OnJoined, c.OnInvitation
	c.OnEntry = func(c *swarm.Conversation, e repo.Entry) {
		if e.Message.Type == commit.TypeMember {
			o.nudge()
		}
		if entry != nil {
			entry(c, e)
		}
	}
	c.OnJoined = func(c *swarm.Conversation) {
		o.nudge()
		if joined != nil {
			joined(c)
		}
	}
	c.OnInvitation = func(i swarm.Invitation) {
		o.nudge()
		if invitation != nil {
			invitation(i)
		}
	}
	return c
}

// own reports whether a device is another one of our account; its chain has been verified.
func (o *ownSync) own(p connection.Peer) bool {
	return p.Account == o.s.account.ID() && p.Device.Long != o.s.account.Device().Long
}

// run looks for the other devices and tells them of changes.
func (o *ownSync) run() {
	o.look()
	// Not in step with the other accounts of the program, which began in the same moment.
	again := func() time.Duration { return lookAgain/2 + rand.N(lookAgain) }
	timer := time.NewTimer(again())
	defer timer.Stop()
	for {
		select {
		case <-o.s.ctx.Done():
			return
		case <-timer.C:
			o.look()
			timer.Reset(again())
		case <-o.nudged:
			if !o.s.sleep(syncSettle) {
				return
			}
			o.tellAll()
		}
	}
}

// look finds the devices that are online, and opens channels to them.
func (o *ownSync) look() {
	ctx, cancel := context.WithTimeout(o.s.ctx, openTime)
	defer cancel()
	for p, err := range o.s.account.Devices(ctx, o.s.account.ID()) {
		if err == nil {
			o.link(p)
		}
	}
}

// link opens a channel to a device, unless there is one.
func (o *ownSync) link(p connection.Peer) {
	id := p.Device.Long
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.own(p) || o.links[id] != nil || o.opening[id] || len(o.links)+len(o.opening) >= maxOwnDevices {
		return
	}
	o.opening[id] = true
	o.s.background(func() {
		ctx, cancel := context.WithTimeout(o.s.ctx, openTime)
		defer cancel()
		ch, err := o.s.account.OpenChannel(ctx, p.Device, syncScheme+id.String(), "sync")
		var l *ownLink
		o.mu.Lock()
		delete(o.opening, id)
		if err == nil {
			l = &ownLink{peer: ch.Peer(), ch: ch}
			o.links[id] = l
		}
		o.mu.Unlock()
		if err != nil {
			o.s.log.Info("conversation: another device of the account is not in step", "device", p.Device, "error", err)
			return
		}
		o.s.log.Info("conversation: in step with another device of the account", "device", p.Device)
		o.s.swarm.Met(peerOf(l.peer))
		stop := context.AfterFunc(o.s.ctx, func() { ch.Close() })
		o.s.background(func() { o.tell(l, o.state()) })
		err = o.read(l.peer, ch)
		stop()
		ch.Close()
		o.mu.Lock()
		delete(o.links, id)
		o.mu.Unlock()
		if errors.Is(err, mux.ErrBeacon) {
			o.s.swarm.Lost(peerOf(l.peer))
		}
		// Over another connection, if it is back already.
		if o.s.sleep(relinkPause) {
			for _, p := range o.s.account.Connected() {
				if p.Device.Long == id {
					o.link(p)
				}
			}
		}
	})
}

// allowed takes channels of our account's other devices, and of nobody else.
func (o *ownSync) allowed(p connection.Peer, name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.own(p) && strings.TrimPrefix(name, syncScheme) == o.s.account.Device().Long.String() && o.serving[p.Device.Long] < maxPerDevice
}

// maxPerDevice bounds the channels of one device.
const maxPerDevice = 4

// serve reads a channel that another device opened.
func (o *ownSync) serve(ch *connection.Channel) {
	p := ch.Peer()
	o.mu.Lock()
	o.serving[p.Device.Long]++
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.serving[p.Device.Long]--; o.serving[p.Device.Long] <= 0 {
			delete(o.serving, p.Device.Long)
		}
	}()
	o.link(p)
	stop := context.AfterFunc(o.s.ctx, func() { ch.Close() })
	defer stop()
	o.s.swarm.Met(peerOf(p))
	_ = o.read(p, ch)
}

// read takes messages until the channel ends, and returns why it did.
func (o *ownSync) read(p connection.Peer, ch net.Conn) error {
	var pending []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := ch.Read(buf)
		if err != nil {
			return err
		}
		pending = append(pending, buf[:n]...)
		for len(pending) > 0 {
			m, used, err := parseSync(pending)
			if errors.Is(err, msgpack.ErrTruncated) && len(pending) < maxSync {
				break
			}
			if err != nil {
				err = fmt.Errorf("%w: %w", errSync, err)
				o.s.log.Warn("conversation: channel of another device ends", "device", p.Device, "error", err)
				return err
			}
			pending = pending[used:]
			o.take(p, m)
		}
	}
}

// take follows what another device tells.
func (o *ownSync) take(p connection.Peer, m syncMsg) {
	s := o.s
	s.log.Debug("conversation: told by another device", "device", p.Device,
		"contacts", len(m.contacts), "conversations", len(m.conversations), "requests", len(m.requests))
	if len(m.contacts) > 0 {
		if err := s.account.MergeContacts(m.contacts); err != nil {
			s.log.Error("conversation: contacts of another device", "device", p.Device, "error", err)
		}
	}
	for _, c := range m.conversations {
		here := s.swarm.Conversation(c.id) != nil
		switch {
		case c.removed != 0 && here: // the commit by which the account left says what it means
			s.swarm.Fetch(peerOf(p), c.id)
		case c.removed != 0:
			s.swarm.Decline(c.id)
		case !here:
			o.want(p, c.id)
		}
	}
	for _, q := range m.requests {
		if q.declined != 0 {
			s.swarm.Decline(q.id)
			continue
		}
		from, err := value.ParseKey(q.from)
		if err != nil || s.swarm.Conversation(q.id) != nil {
			continue
		}
		body, err := json.Marshal(map[string]any{"conversationId": q.id, "metadatas": map[string]string{"title": q.title, "description": q.description}})
		if err == nil {
			s.swarm.Message(swarm.Peer{Account: from}, swarm.TypeInvite, body)
		}
	}
}

// want has a conversation cloned from a device that has it.
func (o *ownSync) want(p connection.Peer, id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, again := o.wanted[id]; !again && len(o.wanted) >= maxWanted {
		o.s.log.Warn("conversation: too many conversations of another device at once; one left out", "device", p.Device, "conversation", id)
		return
	}
	o.wanted[id] = peerOf(p)
	if !o.cloning {
		o.cloning = true
		o.s.background(o.clone)
	}
}

// clone gets the conversations that are wanted, one after the other.
func (o *ownSync) clone() {
	for {
		o.mu.Lock()
		var id string
		var from swarm.Peer
		for id, from = range o.wanted {
			break
		}
		if id == "" || o.s.ctx.Err() != nil {
			o.cloning = false
			o.mu.Unlock()
			return
		}
		delete(o.wanted, id)
		o.mu.Unlock()
		for try := 1; ; try++ {
			ctx, cancel := context.WithTimeout(o.s.ctx, cloneTime)
			_, err := o.s.swarm.CloneFrom(ctx, from, id)
			cancel()
			if err == nil || o.s.swarm.Conversation(id) != nil {
				break
			}
			if try == cloneTries || errors.Is(err, repo.ErrInvalid) || !o.s.sleep(clonePause) {
				o.s.log.Warn("conversation: another device's conversation", "device", from.Device, "conversation", id, "error", err)
				break
			}
		}
	}
}

// state is what other devices are to know.
func (o *ownSync) state() syncMsg {
	m := syncMsg{contacts: o.s.account.AllContacts()}
	own := o.s.account.ID()
	for _, c := range o.s.swarm.Conversations() {
		r := c.Repository()
		sc := syncConversation{id: c.ID()}
		if e, err := r.Entry(r.ID()); err == nil {
			sc.created = unix(e.Time)
		}
		if !r.Role(own).Belongs() { // nothing has come since
			sc.removed = sc.created + 1
			if e, err := r.Entry(r.Head()); err == nil {
				sc.removed = max(sc.removed, unix(e.Time))
			}
		}
		for _, member := range r.Members() {
			if member.Role.Belongs() && len(sc.members) < maxSyncMembers {
				sc.members = append(sc.members, member.Account.String())
			}
		}
		m.conversations = append(m.conversations, sc)
	}
	for _, i := range o.s.swarm.Invitations() {
		m.requests = append(m.requests, syncRequest{id: i.Conversation, from: i.From.Account.String(), received: unix(i.Received),
			title: cut(i.Title), description: cut(i.Description)})
	}
	return m
}

func cut(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxSyncText)], "") }

// tellAll tells all devices that there is a channel to.
func (o *ownSync) tellAll() {
	o.mu.Lock()
	var links []*ownLink
	for _, l := range o.links {
		links = append(links, l)
	}
	o.mu.Unlock()
	if len(links) == 0 {
		return
	}
	m := o.state()
	for _, l := range links {
		o.tell(l, m)
	}
}

// tell writes what the device was not told before.
func (o *ownSync) tell(l *ownLink, m syncMsg) {
	messages := m.pack()
	h := sha256.New()
	for _, b := range messages {
		h.Write(b)
	}
	sum := [sha256.Size]byte(h.Sum(nil))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sent == sum {
		return
	}
	err := l.ch.SetWriteDeadline(time.Now().Add(writeTime))
	for _, b := range messages { // each in one piece
		if err == nil {
			_, err = l.ch.Write(b)
		}
	}
	if err != nil {
		l.ch.Close() // and is opened again
		return
	}
	l.sent = sum
}

// mergedContact tells of a contact that another device made. Its conversation comes from there too.
func (s *Service) mergedContact(c account.Contact) {
	s.mu.Lock()
	f := s.contacts
	s.mu.Unlock()
	if f != nil {
		f(c)
	}
}

// sleep waits, and reports whether the service goes on.
func (s *Service) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}
