package swarm

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/value"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// outbox is what a device is to be told: the newest commits of conversations,
// and invitations. What is asked for again while it waits is told once.
type outbox struct {
	peer    Peer
	news    map[string]bool
	invites map[string]bool
	running bool
}

// seek is the search for the devices of an account.
type seek struct {
	news  map[string]bool // told to them
	fetch map[string]bool // fetched from them
}

// announce tells the members' devices of the head. except is the device that it
// came from.
func (s *Swarm) announce(c *Conversation, except value.LongID) {
	connected := s.cfg.Network.Connected()
	for _, m := range c.repo.Members() {
		if !m.Role.Belongs() {
			continue
		}
		online := false
		for _, p := range connected {
			if p.Account != m.Account {
				continue
			}
			online = true
			if p.Device.Long != except {
				s.post(p, c.ID())
			}
		}
		if !online && m.Account != s.account {
			s.reach(m.Account, c.ID(), false)
		}
	}
}

// reach looks for the devices of an account that are online, tells them of a
// conversation and, with fetch, gets what they have of it.
func (s *Swarm) reach(account value.Key, conversation string, fetch bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	k := s.seeking[account]
	if k == nil {
		k = &seek{map[string]bool{}, map[string]bool{}}
		s.seeking[account] = k
		s.wg.Go(func() { s.seek(account) })
	}
	if k.news[conversation] = true; fetch {
		k.fetch[conversation] = true
	}
}

func (s *Swarm) seek(account value.Key) {
	ctx, cancel := context.WithTimeout(s.ctx, seekTime)
	defer cancel()
	var found []Peer
	for p, err := range s.cfg.Network.Devices(ctx, account) {
		if err == nil && p.Device.Long != s.device.Long {
			found = append(found, p)
		}
	}
	s.mu.Lock()
	k := s.seeking[account]
	delete(s.seeking, account)
	s.mu.Unlock()
	for _, p := range found {
		for id := range k.news {
			s.post(p, id)
		}
		for id := range k.fetch {
			s.Fetch(p, id)
		}
	}
}

// post puts news of a conversation into a device's outbox: an invitation if the
// account is invited, else the newest commit.
func (s *Swarm) post(p Peer, conversation string) {
	c := s.Conversation(conversation)
	if c == nil {
		return
	}
	role := c.repo.Role(p.Account)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(p, conversation, role)
}

// put is post to an account with a role; mu is held.
func (s *Swarm) put(p Peer, conversation string, role repo.Role) {
	if s.closed || role != repo.Invited && !role.Belongs() {
		return
	}
	key := jobKey{p.Device.Long, conversation}
	if role.Belongs() {
		until := s.told[key].Add(tellAgain)
		if n := s.newcomers[conversation]; n.device != p.Device.Long && n.until.After(until) {
			until = n.until
		}
		if wait := until.Sub(s.cfg.Now()); wait > 0 {
			s.postLater(p, key, wait)
			return
		}
	}
	o := s.outboxes[p.Device.Long]
	if o == nil {
		o = &outbox{peer: p, news: map[string]bool{}, invites: map[string]bool{}}
		s.outboxes[p.Device.Long] = o
	}
	if role == repo.Invited {
		o.invites[conversation] = true
	} else {
		o.news[conversation] = true
	}
	if !o.running {
		o.running = true
		s.wg.Go(func() { s.deliver(o) })
	}
}

// A daemon cannot check the first commit of a device whose certificate it does not
// have: its fetch breaks off, and if it was told of another commit meanwhile, that
// one stays in its queue for ever and it fetches no more from anybody. It gets the
// certificate when it meets the device, who tells it of having joined; what we pass
// on must not come before. So the others hear of a join from us a little later, and
// nobody is told of two commits at the same time.
const (
	tellAgain    = 500 * time.Millisecond
	newcomerTime = 2500 * time.Millisecond
)

// newcomer is a device that has just joined, and until when the others are left
// to hear of it from itself.
type newcomer struct {
	device       value.LongID
	since, until time.Time
}

// welcome notes who has joined with these commits.
func (s *Swarm) welcome(conversation string, entries []repo.Entry) {
	for _, e := range entries {
		if e.Message.Type == commit.TypeMember && e.Message.Get("action") == commit.ActionJoin {
			now := s.cfg.Now()
			n := newcomer{e.Device, now, now.Add(newcomerTime)}
			s.mu.Lock()
			// While one after the other joins, the news are not held up for ever.
			if last := s.newcomers[conversation]; last.until.After(now) {
				n.since = last.since
				if most := n.since.Add(2 * newcomerTime); n.until.After(most) {
					n.until = most
				}
			}
			s.newcomers[conversation] = n
			s.mu.Unlock()
		}
	}
}

// postLater posts again after a while; mu is held.
func (s *Swarm) postLater(p Peer, key jobKey, wait time.Duration) {
	if s.held[key] {
		return
	}
	s.held[key] = true
	s.wg.Go(func() {
		s.sleep(wait)
		c := s.Conversation(key.conversation)
		role := repo.None
		if c != nil {
			role = c.repo.Role(p.Account)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.held, key)
		s.put(p, key.conversation, role)
	})
}

// deliver sends what is in an outbox until it is empty.
func (s *Swarm) deliver(o *outbox) {
	for {
		s.mu.Lock()
		news, invites := o.news, o.invites
		if len(news)+len(invites) == 0 || s.closed {
			delete(s.outboxes, o.peer.Device.Long)
			s.mu.Unlock()
			return
		}
		o.news, o.invites = map[string]bool{}, map[string]bool{}
		s.mu.Unlock()
		for id := range invites {
			s.sendInvitation(o.peer, id)
		}
		for id := range news {
			if c := s.Conversation(id); c != nil {
				body, err := json.Marshal(announcement{c.repo.Head().String(), s.device.Long.String(), id})
				if err == nil {
					s.mu.Lock()
					if len(s.told) >= maxMet {
						clear(s.told)
					}
					s.told[jobKey{o.peer.Device.Long, id}] = s.cfg.Now()
					s.mu.Unlock()
					s.send(o.peer, TypeCommit, body)
					s.remind(o.peer, c, false)
				}
			}
		}
	}
}

// served notes what a device has after it fetched from us.
func (s *Swarm) served(p Peer, conversation string, head plumbing.Hash, sent bool) {
	s.hold(p, conversation, head)
	if sent {
		s.fetchSoon(p, conversation)
	}
}

func (s *Swarm) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// send gives a device a message. Who does not get it catches up when it connects.
func (s *Swarm) send(p Peer, mime string, body []byte) {
	select {
	case s.sending <- struct{}{}:
	case <-s.ctx.Done():
		return
	}
	defer func() { <-s.sending }()
	ctx, cancel := context.WithTimeout(s.ctx, openTime)
	defer cancel()
	if err := s.cfg.Network.SendMessage(ctx, p, mime, body); err != nil {
		s.cfg.Metrics.message("failed")
		s.log.Debug("swarm: message not delivered", "to", p.Account, "device", p.Device, "type", mime, "error", err)
		return
	}
	s.cfg.Metrics.message("sent")
}

// Met tells that a connection with a device came up: what it has is fetched, what we have it is told of, and
// it gets the invitations that wait for it.
func (s *Swarm) Met(p Peer) {
	now := s.cfg.Now()
	s.mu.Lock()
	if now.Sub(s.met[p.Device.Long]) < greetAgain {
		s.mu.Unlock()
		return
	}
	if len(s.met) >= maxMet {
		clear(s.met)
	}
	s.met[p.Device.Long] = now
	s.mu.Unlock()
	s.greet(p)
}

// lostTries is how often a device whose connection was lost is looked for, first
// after lostFirst, then at ever longer intervals up to lostMost.
const (
	lostFirst = 4 * time.Second
	lostMost  = 30 * time.Second
	lostTries = 30
)

// Lost tells that the connection with a device ended because nothing came from it
// any more: the network was cut, and what either side said since is not known to
// the other. We look for it until it is back or, likely, off.
func (s *Swarm) Lost(p Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.lost[p.Device.Long] || len(s.lost) >= maxMet {
		return
	}
	s.lost[p.Device.Long] = true
	s.wg.Go(func() {
		defer func() {
			s.mu.Lock()
			delete(s.lost, p.Device.Long)
			s.mu.Unlock()
		}()
		wait := lostFirst
		for range lostTries {
			if !s.sleep(wait) {
				return
			}
			if s.connected(p) {
				s.greet(p) // who connected may not have asked for anything yet
				return
			}
			wait = min(2*wait, lostMost)
			for _, c := range s.Conversations() {
				if c.repo.Role(p.Account).Belongs() {
					s.reach(p.Account, c.ID(), true)
				}
			}
		}
	})
}

// connected reports whether a connection with the device is up.
func (s *Swarm) connected(p Peer) bool {
	return slices.ContainsFunc(s.cfg.Network.Connected(), func(o Peer) bool { return o.Device.Long == p.Device.Long })
}

// Message takes a message of a device. It does not wait for anything.
func (s *Swarm) Message(p Peer, mime string, body []byte) {
	switch mime {
	case TypeCommit:
		a, ok := parseAnnouncement(body)
		if !ok {
			return
		}
		c := s.Conversation(a.ID)
		switch {
		case c == nil && s.nudge(p, a.ID): // we have it, damaged, and they have a copy
		case c == nil:
			s.background(func() { s.send(p, TypeAskAgain, []byte(a.ID)) })
		case a.Device == p.Device.Long.String():
			s.Fetch(p, a.ID)
		default: // it tells of another device's, and has it itself or not
			if d, ok := c.device(a.Device); ok {
				s.Fetch(d, a.ID)
			}
		}
	case TypeInvite:
		if inv, ok := parseInvitation(body); ok {
			s.invited(p, inv)
		}
	case TypeAskAgain:
		id := string(body)
		if c := s.Conversation(id); c != nil && len(id) == 40 && c.repo.Role(p.Account) != repo.None {
			s.background(func() { s.sendInvitation(p, id) })
		}
	}
}

// device finds a member's device by its id.
func (c *Conversation) device(id string) (Peer, bool) {
	for _, d := range c.repo.Devices() {
		if d.IDs.Long.String() == id {
			return Peer{d.Account, d.IDs}, true
		}
	}
	return Peer{}, false
}
