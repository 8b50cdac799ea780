package swarm

import (
	"testing"
	"time"
)

// A member whose history is refused again and again is asked ever more rarely, and only they.
func TestRefusals(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := &Swarm{refusals: map[memberKey]refusal{}}
	s.cfg.Now = func() time.Time { return now }
	bob, carol := Peer{Account: people()[1].ID()}, Peer{Account: people()[2].ID()}
	wait := func(p Peer) time.Duration { return s.refusedUntil(p, "c").Sub(now) }
	if wait(bob) > 0 {
		t.Error("without reason")
	}
	for i := range 20 {
		s.refuse(bob, "c")
		if got, want := wait(bob), min(firstRefusal<<i, longestRefusal); got != want {
			t.Errorf("after %d: %v, want %v", i+1, got, want)
		}
		now = now.Add(wait(bob))
	}
	if wait(carol) > 0 || s.refusedUntil(bob, "d").After(now) {
		t.Error("others suffer")
	}
	now = now.Add(25 * longestRefusal)
	if s.refuse(bob, "c"); wait(bob) != firstRefusal {
		t.Errorf("a day later: %v", wait(bob))
	}
}
