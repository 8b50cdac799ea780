package swarm

import (
	"math/rand/v2"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/value"
	"rendezvous/swarm/repo"
)

// News may be lost: a message on a connection that is dead already, a device that is cut off when it is told. So heads are
// compared with those of other devices when a connection comes up, and now and then as long as it lasts: theirs
// is fetched, which costs a few hundred bytes if it is known, and ours they are told of if they are not known to have it.
const (
	// CompareEvery is how often heads are compared, unless Config says otherwise: after half to one and a half of it.
	CompareEvery = time.Minute
	// maxCompared bounds the conversations of one device in each round.
	maxCompared = 8
	// seekRounds is how many rounds pass until members of whom no device is connected are looked for, and maxSought
	// how many of them then.
	seekRounds = 5
	maxSought  = 4
)

// keepInStep compares heads now and then.
func (s *Swarm) keepInStep() {
	every := s.cfg.CompareEvery
	for round := 1; s.sleep(every/2 + rand.N(every)); round++ {
		here := map[value.Key]bool{s.account: true}
		for _, p := range s.cfg.Network.Connected() {
			here[p.Account] = true
			if p.Device.Long != s.device.Long {
				s.compareWith(p)
			}
		}
		if round%seekRounds == 0 {
			s.seekAway(here)
		}
		s.putTogether()
	}
}

func (s *Swarm) compareWith(p Peer) {
	var common []*Conversation
	for _, c := range s.Conversations() {
		if c.repo.Role(p.Account).Belongs() {
			common = append(common, c)
		}
	}
	rand.Shuffle(len(common), func(i, j int) { common[i], common[j] = common[j], common[i] })
	for _, c := range common[:min(len(common), maxCompared)] {
		s.Fetch(p, c.ID())
		if s.behind(p, c) {
			s.post(p, c.ID())
		}
	}
}

// seekAway looks for some of the members who are not here.
func (s *Swarm) seekAway(here map[value.Key]bool) {
	away := map[value.Key][]*Conversation{}
	for _, c := range s.Conversations() {
		for _, m := range c.repo.Members() {
			if m.Role.Belongs() && !here[m.Account] {
				away[m.Account] = append(away[m.Account], c)
			}
		}
	}
	n := 0
	for account, common := range away { // in the order of maps, which is another each time
		if n++; n > maxSought {
			return
		}
		for _, c := range common[:min(len(common), maxCompared)] {
			s.reach(account, c.ID(), true)
		}
	}
}

// greet compares heads with a device that has just connected, and gives it its invitations.
func (s *Swarm) greet(p Peer) {
	s.nudgeAll(p)
	for _, c := range s.Conversations() {
		switch role := c.repo.Role(p.Account); {
		case role.Belongs():
			s.Fetch(p, c.ID())
			s.remind(p, c, true)
		case role == repo.Invited:
			s.post(p, c.ID())
		}
	}
}

// behind reports whether a device is not known to have our newest commit.
func (s *Swarm) behind(p Peer, c *Conversation) bool {
	head := c.repo.Head()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.has[jobKey{p.Device.Long, c.ID()}] != head
}

// hold notes what a device has.
func (s *Swarm) hold(p Peer, conversation string, head plumbing.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.has) >= maxMet {
		clear(s.has)
	}
	s.has[jobKey{p.Device.Long, conversation}] = head
}

// reminders are how long a connected device that was told of a commit may take to
// fetch it before it is told again. Daemons that are busy with another fetch
// forget what they are told meanwhile.
var reminders = []time.Duration{4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second}

// remind sees to it that a device fetches our newest commit. It is reminded once of each; anew says that the device has
// come back, and the reminders begin again.
func (s *Swarm) remind(p Peer, c *Conversation, anew bool) {
	key, head := jobKey{p.Device.Long, c.ID()}, c.repo.Head()
	s.mu.Lock()
	defer s.mu.Unlock()
	if anew {
		delete(s.reminded, key)
	}
	if again := s.reminding[key]; again != nil {
		if anew {
			select {
			case again <- struct{}{}:
			default:
			}
		}
		return
	}
	if s.closed || s.reminded[key] == head {
		return
	}
	again := make(chan struct{}, 1)
	s.reminding[key] = again
	s.wg.Go(func() {
		for s.remindOnce(p, c, again) {
		}
	})
}

// remindOnce goes through the reminders, and reports whether to do so again.
func (s *Swarm) remindOnce(p Peer, c *Conversation, again chan struct{}) bool {
	key := jobKey{p.Device.Long, c.ID()}
	ignored := plumbing.ZeroHash
	for _, wait := range s.reminders {
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-again:
			t.Stop()
			return true
		case <-s.ctx.Done():
			t.Stop()
			return false
		}
		ignored = plumbing.ZeroHash
		if !s.behind(p, c) || !s.connected(p) { // who is away is reminded when they are back
			break
		}
		ignored = c.repo.Head()
		s.post(p, c.ID())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-again:
		return true
	default:
	}
	delete(s.reminding, key)
	if !ignored.IsZero() {
		if len(s.reminded) >= maxMet {
			clear(s.reminded)
		}
		s.reminded[key] = ignored
	}
	return false
}
