package swarm

import (
	"testing"
	"time"

	"rendezvous/internal/eventually"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// deafen has messages to a host vanish, as on a connection that is dead and not known to be, or come again.
func (w *world) deafen(i int, deaf bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaf[i] = deaf
}

// quiet waits until no host has anything to tell or to fetch any more, and looks for nobody.
func (w *world) quiet() {
	w.t.Helper()
	eventually.True(w.t, "nothing is on its way", func() bool {
		for _, h := range w.hosts {
			if h.busy() {
				return false
			}
		}
		return true
	})
}

func (h *host) busy() bool {
	s := h.swarm
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs {
		if j.running {
			return true
		}
	}
	return len(s.reminding)+len(s.held)+len(s.outboxes)+len(s.seeking)+len(s.soon) > 0
}

// pair are two hosts with a conversation that have nothing more to say to each other, and do not remind.
func pair(t *testing.T) (*world, []*Conversation) {
	t.Helper()
	w := newWorld(t, 2)
	for _, h := range w.hosts {
		h.swarm.reminders = nil
	}
	all := w.group(2)
	agree(t, all...)
	w.quiet()
	return w, all
}

// What is said while a connection is dead, and is still taken for alive, arrives without a further word: heads
// are compared now and then.
func TestHeadsAreCompared(t *testing.T) {
	for name, who := range map[string]int{"by who has more": 0, "by who has less": 1} {
		t.Run(name, func(t *testing.T) {
			w, all := pair(t)
			w.hosts[who].swarm.cfg.CompareEvery = 20 * time.Millisecond
			w.deafen(1, true)
			must[repo.Entry](t)(all[0].Say(commit.Text("into the void")))
			eventually.True(t, "it was told", func() bool { return w.lost() > 0 })
			w.quiet()
			w.deafen(1, false)
			s := w.hosts[who].swarm
			s.background(s.keepInStep)
			agree(t, all...)
		})
	}
}

// A device that was cut off and comes back is told, though only its connection to us is noticed, not ours to it.
func TestReminderAfterReturn(t *testing.T) {
	w, all := pair(t)
	a, b := w.hosts[0], w.hosts[1]
	a.swarm.reminders = []time.Duration{10 * time.Millisecond, 20 * time.Millisecond}
	w.deafen(1, true)
	must[repo.Entry](t)(all[0].Say(commit.Text("into the void")))
	eventually.True(t, "it was told", func() bool { return w.lost() > 0 })
	w.cutAll(true)
	w.quiet()
	w.cutAll(false)
	w.deafen(1, false)
	a.forgetMeetings()
	a.swarm.Met(b.peer)
	agree(t, all...)
}

// Who was cut off while we spoke is looked for: nobody connects, nobody says anything more.
func TestMembersAwayAreSought(t *testing.T) {
	w, all := pair(t)
	w.cutAll(true)
	must[repo.Entry](t)(all[0].Say(commit.Text("while you were away")))
	w.hosts[0].swarm.cfg.CompareEvery = 5 * time.Millisecond
	w.hosts[0].aloof(true) // there is a way, and no connection until one is asked for
	w.quiet()
	w.cutAll(false)
	s := w.hosts[0].swarm
	s.background(s.keepInStep)
	agree(t, all...)
}

// A device that does not fetch is reminded a few times of each commit, and then once in each round.
func TestRemindersEnd(t *testing.T) {
	w, all := pair(t)
	a := w.hosts[0]
	a.swarm.reminders = []time.Duration{time.Millisecond, time.Millisecond}
	w.deafen(1, true)
	must[repo.Entry](t)(all[0].Say(commit.Text("into the void")))
	w.quiet()
	before := w.lost()
	a.swarm.post(w.hosts[1].peer, all[0].ID())
	eventually.True(t, "it is told once more", func() bool { return w.lost() > before })
	w.quiet()
	if n := w.lost(); n != before+1 {
		t.Errorf("told %d times more", n-before)
	}
}
