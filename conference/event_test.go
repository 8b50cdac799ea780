package conference

import (
	"slices"
	"sync"
	"testing"

	"rendezvous/conference/settings"
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
	}}, settings.Room{ID: "r", ModeratorPIN: "99", Lobby: true})
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

// A line of chat is told with the door that it came through, so that what brings it elsewhere
// does not bring it back.
func TestChatEvents(t *testing.T) {
	var got []Event
	h := newHost(t, Config{Events: func(e Event) {
		if e.Kind == EventChat { // the room is locked: one at a time
			got = append(got, e)
		}
	}}, settings.Room{ID: "r"})
	r, err := h.Room("r")
	if err != nil {
		t.Fatal(err)
	}
	ann, _ := join(t, r, Caller{Name: "Ann", Door: "web", Identity: "web:ann"})
	must(t, ann, moderation.Order{Action: moderation.Chat, Text: "hello"})
	must(t, ann, moderation.Order{Action: moderation.Chat, Text: "//shrug"})
	bob := Operator{Name: "Bob", Identity: "jami:b", Door: "swarm", Role: moderation.Speaker}
	if err := r.Order(bob, moderation.Order{Action: moderation.Chat, Text: "/from elsewhere"}); err != nil {
		t.Fatal(err)
	}
	want := []struct{ door, identity, name, from, text string }{
		{"web", "web:ann", "Ann", ann.ID(), "hello"},
		{"web", "web:ann", "Ann", ann.ID(), "/shrug"},
		{"swarm", "jami:b", "Bob", "", "/from elsewhere"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	for i, w := range want {
		e := got[i]
		if e.Door != w.door || e.Identity != w.identity || e.Name != w.name || e.Participant != w.from ||
			e.Message == nil || e.Message.Text != w.text || e.Message.From != w.from || e.Message.Name != w.name {
			t.Errorf("event %d: %+v %+v\nwant %+v", i, e, e.Message, w)
		}
	}
	ann.Leave(EndLeft)
}
