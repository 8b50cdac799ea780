package swarm

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/value"
	"rendezvous/swarm/repo"
)

// Damaged is a conversation that is damaged on our disk: nothing is written to it, nor is it begun anew, until what
// cannot be read has been had from a member's copy.
type Damaged struct {
	Conversation string
	Reason       error
	Since        time.Time
	Tried        int // copies that were fetched and did not suffice
}

// patient is a conversation that is being repaired. Its swarm's mu guards it.
type patient struct {
	Damaged
	keepers []value.Key           // accounts that may have a copy
	tellers map[value.LongID]Peer // devices that said they have one
	vain    map[value.LongID]vain // devices whose copy did not suffice
	wake    chan struct{}         // cap 1: one of them is there
	running bool
}

// vain is until when a device is not asked again for a copy that did not suffice: it costs a whole fetch each time.
type vain struct {
	wait  time.Duration
	until time.Time
}

// Looking for a whole copy, at ever longer intervals, and at once when a device that may have one connects.
const (
	repairFirst = 5 * time.Second
	repairMost  = 10 * time.Minute
	repairPause = time.Second // at least between two looks
	maxTellers  = 16
)

// Damaged lists the conversations that are damaged now, by id.
func (s *Swarm) Damaged() []Damaged {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Damaged, 0, len(s.damaged))
	for _, p := range s.damaged {
		out = append(out, p.Damaged)
	}
	slices.SortFunc(out, func(a, b Damaged) int { return strings.Compare(a.Conversation, b.Conversation) })
	return out
}

// damage takes notice of a damaged conversation, and has it repaired once the swarm was started.
func (s *Swarm) damage(id string, reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.damaged[id] != nil {
		return
	}
	p := &patient{Damaged: Damaged{Conversation: id, Reason: reason, Since: s.cfg.Now()}, tellers: map[value.LongID]Peer{}, vain: map[value.LongID]vain{}, wake: make(chan struct{}, 1)}
	s.damaged[id] = p
	s.cfg.Metrics.damage(1)
	s.log.Error("swarm: a conversation is damaged; what is missing is sought from members", "conversation", id, "error", reason)
	if told := p.Damaged; s.cfg.OnDamaged != nil {
		s.events.add(func() { s.cfg.OnDamaged(told) })
	}
	if s.started {
		s.startRepair(id, p)
	}
}

func (s *Swarm) startRepairs() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = true
	for id, p := range s.damaged {
		s.startRepair(id, p)
	}
}

// startRepair begins to look for copies; mu is held.
func (s *Swarm) startRepair(id string, p *patient) {
	if !p.running && !s.closed {
		p.running = true
		s.wg.Go(func() { s.repairUntilWhole(id, p) })
	}
}

// nudge reports whether a conversation is damaged; a device, which said that it has it, is then asked for its copy.
func (s *Swarm) nudge(from Peer, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.damaged[id]
	if p == nil {
		return false
	}
	if len(p.tellers) < maxTellers {
		p.tellers[from.Device.Long] = from
	}
	p.look()
	return true
}

// nudgeAll has those conversations looked after of which a device that has just connected may have a copy.
func (s *Swarm) nudgeAll(from Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.damaged {
		if slices.Contains(p.keepers, from.Account) {
			p.look()
		}
	}
}

func (p *patient) look() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// repairUntilWhole looks for copies of a conversation until one was enough.
func (s *Swarm) repairUntilWhole(id string, p *patient) {
	keepers := repo.Keepers(s.path(id))
	if c := s.Conversation(id); c != nil {
		for _, m := range c.repo.Members() {
			if m.Role.Belongs() && !slices.Contains(keepers, m.Account) {
				keepers = append(keepers, m.Account)
			}
		}
	}
	if !slices.Contains(keepers, s.account) { // its other devices
		keepers = append(keepers, s.account)
	}
	s.mu.Lock()
	p.keepers = keepers
	s.mu.Unlock()
	for wait := repairFirst; ; wait = min(2*wait, repairMost) {
		for peer := range s.copies(p) {
			if s.repairFrom(peer, id, p) {
				return
			}
		}
		t := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-t.C:
		case <-p.wake:
			if !s.sleep(repairPause) {
				return
			}
		case <-s.ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
	}
}

// copies yields the devices that are online and may have a copy of a conversation, each once.
func (s *Swarm) copies(p *patient) func(func(Peer) bool) {
	return func(yield func(Peer) bool) {
		s.mu.Lock()
		keepers, tellers := slices.Clone(p.keepers), slices.Collect(maps.Values(p.tellers))
		s.mu.Unlock()
		tried := map[value.LongID]bool{s.device.Long: true}
		try := func(peer Peer) bool {
			if tried[peer.Device.Long] {
				return true
			}
			tried[peer.Device.Long] = true
			return s.ctx.Err() == nil && yield(peer)
		}
		for _, peer := range append(tellers, s.cfg.Network.Connected()...) {
			known := slices.Contains(keepers, peer.Account) || slices.Contains(tellers, peer)
			if known && !try(peer) {
				return
			}
		}
		for _, account := range keepers {
			ctx, cancel := context.WithTimeout(s.ctx, seekTime)
			for peer, err := range s.cfg.Network.Devices(ctx, account) {
				if err == nil && !try(peer) {
					cancel()
					return
				}
			}
			cancel()
		}
	}
}

// repairFrom fetches a device's copy, all of it, and takes from it what is damaged or missing here. It reports whether the
// conversation is whole.
func (s *Swarm) repairFrom(peer Peer, id string, p *patient) bool {
	log := s.log.With("conversation", id, "from", peer.Account, "device", peer.Device)
	s.mu.Lock()
	until := p.vain[peer.Device.Long].until
	s.mu.Unlock()
	if now := s.cfg.Now(); until.After(now) || s.refusedUntil(peer, id).After(now) {
		return false
	}
	select {
	case s.fetching <- struct{}{}:
	case <-s.ctx.Done():
		return false
	}
	defer func() { <-s.fetching }()
	log.Info("swarm: repairing: fetching a copy")
	m, err := s.mendFrom(peer, id)
	switch {
	case err != nil && s.ctx.Err() != nil:
		return false
	case errors.Is(err, repo.ErrInvalid):
		s.cfg.Metrics.repair("refused")
		s.cfg.Metrics.refuse()
		s.refuse(peer, id)
		log.Warn("swarm: repairing: the copy is refused", "error", err)
		return false
	case err != nil:
		s.cfg.Metrics.repair("failed")
		log.Warn("swarm: repairing", "error", err)
		return false
	case m.Missing > 0:
		s.cfg.Metrics.repair("partial")
		s.mu.Lock()
		p.Tried++
		if len(p.vain) >= maxMet {
			clear(p.vain)
		}
		wait := min(max(2*p.vain[peer.Device.Long].wait, repairFirst), repairMost)
		p.vain[peer.Device.Long] = vain{wait, s.cfg.Now().Add(wait)}
		s.mu.Unlock()
		log.Warn("swarm: repairing: the copy does not have all that is missing", "objects put in place", m.Placed, "missing", m.Missing)
		return false
	}
	c := s.Conversation(id)
	opened := c == nil
	if opened {
		r, err := s.openStored(id)
		if err != nil {
			s.cfg.Metrics.repair("failed")
			s.mu.Lock()
			p.Reason, p.Tried = err, p.Tried+1
			s.mu.Unlock()
			log.Error("swarm: repaired, and it cannot be read yet", "error", err)
			return false
		}
		c = newConversation(s, r)
	}
	s.mu.Lock()
	s.conversations[id] = c
	delete(s.damaged, id)
	s.mu.Unlock()
	s.cfg.Metrics.repair("done")
	s.cfg.Metrics.damage(-1)
	log.Info("swarm: a conversation is repaired", "objects put in place", m.Placed, "after", s.cfg.Now().Sub(p.Since).Round(time.Millisecond))
	if opened && s.cfg.OnJoined != nil {
		s.events.add(func() { s.cfg.OnJoined(c) })
	}
	if s.cfg.OnRepaired != nil {
		s.events.add(func() { s.cfg.OnRepaired(c) })
	}
	if reason := c.repo.Damaged(); reason != nil { // found again meanwhile
		s.damage(id, reason)
		return true
	}
	s.Fetch(peer, id)
	s.catchUp(c)
	return true
}

// mendFrom fetches and puts in place.
func (s *Swarm) mendFrom(peer Peer, id string) (repo.Mended, error) {
	client, err := s.openGit(peer.Device, id)
	if err != nil {
		return repo.Mended{}, err
	}
	defer client.Close()
	stop := context.AfterFunc(s.ctx, func() { client.Close() })
	defer stop()
	head, objects, err := client.Fetch(peer.Device.Long.String(), id, nil, s.cfg.Limits, s.progress(id))
	if err != nil {
		return repo.Mended{}, err
	}
	if c := s.Conversation(id); c != nil {
		return c.repo.Mend(head, objects)
	}
	return repo.Mend(s.path(id), plumbing.NewHash(id), head, objects)
}
