package conference

import (
	"slices"
	"sync"
	"testing"

	"rendezvous/moderation"
)

func TestEvents(t *testing.T) {
	var mu sync.Mutex
	var kinds []EventKind
	h := newHost(t, Config{Events: func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		kinds = append(kinds, e.Kind)
		if e.Room != "r" || e.Time.IsZero() {
			t.Errorf("event %+v", e)
		}
	}}, RoomConfig{ID: "r", ModeratorPIN: "99", Lobby: true})
	r, err := h.Room("r")
	if err != nil {
		t.Fatal(err)
	}
	mod, _ := join(t, r, Caller{Name: "Mo", PIN: "99"})
	ann, _ := join(t, r, Caller{Name: "Ann"})
	must(t, mod, moderation.Order{Action: moderation.Admit, Target: ann.ID()})
	ann.Leave(EndLeft)
	mod.Leave(EndLeft)
	mu.Lock()
	defer mu.Unlock()
	want := []EventKind{EventMeetingBegan, EventJoined, EventWaiting, EventJoined, EventOrder, EventLeft, EventLeft, EventMeetingEnded}
	if !slices.Equal(kinds, want) {
		t.Errorf("events %v\nwant   %v", kinds, want)
	}
}
