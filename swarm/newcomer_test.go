package swarm

import (
	"testing"
	"time"

	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// Others than a newcomer are told of them after a while, however many follow.
func TestNewcomersHoldNewsUp(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := &Swarm{cfg: Config{Now: func() time.Time { return now }}, newcomers: map[string]newcomer{}}
	join := repo.Entry{Message: commit.Member(commit.ActionJoin, "x")}
	start := now
	for i, step := range []struct {
		after, until time.Duration
	}{
		{0, 2500 * time.Millisecond},
		{2 * time.Second, 4500 * time.Millisecond},
		{4 * time.Second, 5 * time.Second},
		{4900 * time.Millisecond, 5 * time.Second},
		{5 * time.Second, 7500 * time.Millisecond},
	} {
		now = start.Add(step.after)
		s.welcome("c", []repo.Entry{{Message: commit.Text("hello")}, join})
		if got := s.newcomers["c"].until.Sub(start); got != step.until {
			t.Errorf("join %d at %v: until %v, want %v", i, step.after, got, step.until)
		}
	}
	s.welcome("d", []repo.Entry{{Message: commit.Text("hello")}})
	if _, any := s.newcomers["d"]; any {
		t.Error("who says something counts as a newcomer")
	}
}
