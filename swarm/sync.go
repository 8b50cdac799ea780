package swarm

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/swarm/gitwire"
	"rendezvous/swarm/repo"
)

// outbox is what a device is to be told: the newest commits of conversations,
// and invitations. What is asked for again while it waits is told once.
type outbox struct {
	peer     Peer
	news     map[string]bool
	invites  map[string]bool
	running  bool
	notUntil time.Time
}

// seek is the search for the devices of an account.
type seek struct {
	news  map[string]bool // told to them
	fetch map[string]bool // fetched from them
}

// mergeWait is how long the announcement of a merge of ours may be held back, at
// random: two devices that merge at the same time would else go on doing so.
const mergeWait = 800 * time.Millisecond

// announce tells the members' devices of the head. except is the device that it
// came from.
func (s *Swarm) announce(c *Conversation, except value.LongID) {
	s.announceAfter(c, except, 0)
}

func (s *Swarm) announceAfter(c *Conversation, except value.LongID, wait time.Duration) {
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
				s.post(p, c.ID(), wait)
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
			s.post(p, id, 0)
		}
		for id := range k.fetch {
			s.Fetch(p, id)
		}
	}
}

// post puts news of a conversation into a device's outbox: an invitation if the
// account is invited, else the newest commit.
func (s *Swarm) post(p Peer, conversation string, wait time.Duration) {
	c := s.Conversation(conversation)
	if c == nil {
		return
	}
	role := c.repo.Role(p.Account)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	o := s.outboxes[p.Device.Long]
	if o == nil {
		o = &outbox{peer: p, news: map[string]bool{}, invites: map[string]bool{}}
		s.outboxes[p.Device.Long] = o
	}
	switch {
	case role == repo.Invited:
		o.invites[conversation] = true
	case role.Belongs():
		o.news[conversation] = true
	default:
		return
	}
	if until := s.cfg.Now().Add(wait); wait > 0 && until.After(o.notUntil) {
		o.notUntil = until
	}
	if !o.running {
		o.running = true
		s.wg.Go(func() { s.deliver(o) })
	}
}

// deliver sends what is in an outbox until it is empty.
func (s *Swarm) deliver(o *outbox) {
	for {
		s.mu.Lock()
		if wait := o.notUntil.Sub(s.cfg.Now()); wait > 0 {
			s.mu.Unlock()
			if !s.sleep(wait) {
				return
			}
			continue
		}
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
					s.send(o.peer, TypeCommit, body)
					s.remind(o.peer, c)
				}
			}
		}
	}
}

// reminders are how long a connected device that was told of a commit may take to
// fetch it before it is told again. Daemons that are busy with another fetch
// forget what they are told meanwhile.
var reminders = []time.Duration{4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second}

func (s *Swarm) remind(p Peer, c *Conversation) {
	key := jobKey{p.Device.Long, c.ID()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.reminding[key] {
		return
	}
	s.reminding[key] = true
	s.wg.Go(func() {
		for _, wait := range reminders {
			if !s.sleep(wait) {
				return
			}
			s.mu.Lock()
			done := s.has[key] == c.repo.Head()
			s.mu.Unlock()
			connected := slices.ContainsFunc(s.cfg.Network.Connected(), func(o Peer) bool { return o.Device.Long == p.Device.Long })
			if done || !connected {
				break
			}
			s.post(p, c.ID(), 0)
		}
		s.mu.Lock()
		delete(s.reminding, key)
		s.mu.Unlock()
	})
}

// served notes what a device has after it fetched from us.
func (s *Swarm) served(p Peer, conversation string, head plumbing.Hash, sent bool) {
	s.mu.Lock()
	if len(s.has) >= maxMet {
		clear(s.has)
	}
	s.has[jobKey{p.Device.Long, conversation}] = head
	s.mu.Unlock()
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

// Met tells that a connection with a device came up: what it has is fetched, and
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
	for _, c := range s.Conversations() {
		switch role := c.repo.Role(p.Account); {
		case role.Belongs():
			s.Fetch(p, c.ID())
		case role == repo.Invited:
			s.post(p, c.ID(), 0)
		}
	}
}

// Fetch gets what a device has of a conversation, soon.
func (s *Swarm) Fetch(p Peer, conversation string) {
	key := jobKey{p.Device.Long, conversation}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.conversations[conversation] == nil || p.Device.Long == s.device.Long {
		return
	}
	j := s.jobs[key]
	if j == nil {
		j = &job{}
		s.jobs[key] = j
	}
	if j.running {
		j.again = true
		return
	}
	j.running = true
	s.wg.Go(func() { s.runJob(p, key, j) })
}

// fetchBack is how long after a device fetched from us we look what it has.
const fetchBack = time.Second

// fetchSoon fetches from a device that just fetched from us. Daemons of 2023 do
// not announce their merges, nor to those whose joining they had not heard of:
// what such a device said meanwhile would only come with its next word.
func (s *Swarm) fetchSoon(p Peer, conversation string) {
	key := jobKey{p.Device.Long, conversation}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.soon[key] {
		return
	}
	s.soon[key] = true
	s.wg.Go(func() {
		s.sleep(fetchBack)
		s.mu.Lock()
		delete(s.soon, key)
		s.mu.Unlock()
		s.Fetch(p, conversation)
	})
}

func (s *Swarm) runJob(p Peer, key jobKey, j *job) {
	for {
		if err := s.fetch(p, key.conversation, j); err != nil {
			s.log.Info("swarm: fetch", "conversation", key.conversation, "from", p.Account, "device", p.Device, "error", err)
		}
		s.mu.Lock()
		if !j.again || s.closed {
			j.running = false
			if j.client == nil {
				delete(s.jobs, key)
			}
			s.mu.Unlock()
			return
		}
		j.again = false
		s.mu.Unlock()
	}
}

// fetch gets and integrates once, with a second try if the channel had died.
func (s *Swarm) fetch(p Peer, conversation string, j *job) error {
	c := s.Conversation(conversation)
	if c == nil || !c.repo.MayRead(p.Account, p.Device.Long) {
		return errors.New("not a member")
	}
	select {
	case s.fetching <- struct{}{}:
	case <-s.ctx.Done():
		return nil
	}
	defer func() { <-s.fetching }()
	for {
		used := j.client != nil
		err := s.fetchOnce(p, c, j)
		if err == nil {
			s.cfg.Metrics.fetch("done")
			return nil
		}
		if errors.Is(err, repo.ErrInvalid) {
			s.cfg.Metrics.fetch("refused")
			s.cfg.Metrics.refuse()
			s.log.Warn("swarm: history refused", "conversation", conversation, "from", p.Account, "error", err)
			return err
		}
		if j.client != nil {
			j.client.Close()
			j.client = nil
		}
		if !used || s.ctx.Err() != nil {
			s.cfg.Metrics.fetch("failed")
			return err
		}
	}
}

func (s *Swarm) fetchOnce(p Peer, c *Conversation, j *job) error {
	if j.client == nil {
		var err error
		if j.client, err = s.openGit(p.Device, c.ID()); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(s.ctx, func() { j.client.Close() })
	defer stop()
	head, objects, err := j.client.Fetch(p.Device.Long.String(), c.ID(), c.repo, s.cfg.Limits, s.progress(c.ID()))
	if err != nil {
		return err
	}
	c.order.Lock()
	out, err := c.repo.Integrate(head, objects)
	c.tell(out.New)
	c.order.Unlock()
	if err != nil || len(out.New) == 0 {
		return err
	}
	// Others may not have heard of it: daemons announce to some members only. Of
	// a merge the device that it came from is to hear as well.
	if out.Merged != nil {
		s.announceAfter(c, value.LongID{}, rand.N(mergeWait))
	} else {
		s.announce(c, p.Device.Long)
	}
	return nil
}

func (s *Swarm) openGit(device identity.KeyIDs, conversation string) (*gitwire.Client, error) {
	ctx, cancel := context.WithTimeout(s.ctx, openTime)
	defer cancel()
	ch, err := s.cfg.Network.OpenChannel(ctx, device, "git://"+device.Long.String()+"/"+conversation)
	if err != nil {
		return nil, err
	}
	return gitwire.NewClient(ch), nil
}

func (s *Swarm) progress(conversation string) func(done, total int) {
	if s.cfg.OnProgress == nil {
		return nil
	}
	return func(done, total int) { s.cfg.OnProgress(conversation, done, total) }
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
