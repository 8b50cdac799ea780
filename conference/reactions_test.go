package conference

import (
	"context"
	"slices"
	"testing"

	"rendezvous/conference/settings"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
)

// fetching joins for a door that fetches its member's mail.
func fetching(t *testing.T, r *Room, c Caller) *Member {
	t.Helper()
	l := leg.New(leg.Config{})
	t.Cleanup(l.Close)
	m, err := r.Join(context.Background(), c, l, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Leave(EndLeft) })
	return m
}

// reactionsTo are those that a member has been sent since the last time.
func reactionsTo(m *Member) (out []Reaction) {
	for _, n := range m.Fetch().News {
		if x, ok := n.(Reaction); ok {
			out = append(out, x)
		}
	}
	return out
}

// A reaction comes to all whose doors show them, at once and to nobody else, and is put nowhere.
func TestReactions(t *testing.T) {
	r := newRoomOf(t, settings.Room{})
	speaker, host := moderation.Speaker, moderation.Host
	ann := fetching(t, r, Caller{Name: "Ann", Door: "web", Identity: "web:ann", Proven: true, Grant: &host, SeesReactions: true})
	bob := fetching(t, r, Caller{Name: "Bob", Door: "web", Identity: "web:bob", Proven: true, Grant: &speaker, SeesReactions: true})
	phone := fetching(t, r, Caller{Name: "Phone", Door: "sip"})
	watcher := fetching(t, r, Caller{Name: "Watcher", Door: "web", Observer: true, SeesReactions: true})
	must(t, ann, moderation.Order{Action: moderation.Lobby, On: true})
	waiting := fetching(t, r, Caller{Name: "Waiting", Door: "web", SeesReactions: true})

	must(t, bob, moderation.Order{Action: moderation.React, Text: "👏"})
	want := []Reaction{{From: bob.ID(), Name: "Bob", Text: "👏"}}
	for _, m := range []*Member{ann, bob, watcher} {
		if got := reactionsTo(m); !slices.Equal(got, want) {
			t.Errorf("%s is told %v", m.name, got)
		}
	}
	for _, m := range []*Member{phone, waiting} {
		if got := reactionsTo(m); got != nil {
			t.Errorf("%s is told %v", m.name, got)
		}
	}
	must(t, phone, moderation.Order{Action: moderation.React, Text: "👍"}) // as by the API
	mustNot(t, bob, moderation.Order{Action: moderation.React, Text: "no"}, "")
	mustNot(t, watcher, moderation.Order{Action: moderation.React, Text: "👏"}, "")
	mustNot(t, waiting, moderation.Order{Action: moderation.React, Text: "👏"}, "")
	if got := reactionsTo(ann); len(got) != 1 {
		t.Errorf("of one that was taken and three that were not, %v came", got)
	}
	for _, e := range r.Audit(0) {
		if e.Order.Action == moderation.React {
			t.Errorf("the audit has %+v", e)
		}
	}
}

// Nobody floods a room with reactions: neither one person, nor many together.
func TestReactionsAreFew(t *testing.T) {
	r := newRoomOf(t, settings.Room{})
	host := moderation.Host
	clap := moderation.Order{Action: moderation.React, Text: "👏"}
	ann := fetching(t, r, Caller{Name: "Ann", Door: "web", Identity: "web:ann", Proven: true, Grant: &host, SeesReactions: true})
	for range reactionBurst {
		must(t, ann, clap)
	}
	mustNot(t, ann, clap, tooMuch)
	taken := reactionBurst
	for i := range 30 {
		m := fetching(t, r, Caller{Name: name(i), Door: "web"})
		if m.Order(clap) == nil {
			taken++
		}
	}
	if taken < roomReactionsBurst || taken > roomReactionsBurst+5 {
		t.Errorf("%d of 33 were taken at once, want %d", taken, roomReactionsBurst)
	}
	if got := len(reactionsTo(ann)); got != taken {
		t.Errorf("%d were taken and %d told", taken, got)
	}
}
