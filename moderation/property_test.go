package moderation

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// meeting is the smallest meeting that obeys Decide: what an allowed order does
// to roles, presence, mutes and the floor. The rooms of package conference are tested by
// the same properties there.
type meeting struct {
	people  map[string]Person
	room    Room
	locked  bool
	lobby   bool
	changes int // of things that only a moderator may change
}

func (m *meeting) state() Room {
	r := m.room
	r.Moderators = 0
	for _, p := range m.people {
		if p.Role >= Moderator && !p.Waiting && !p.Gone {
			r.Moderators++
		}
	}
	return r
}

func (m *meeting) order(actor string, o Order) error {
	a := m.people[actor]
	var target *Person
	if p, ok := m.people[o.Target]; ok {
		target = &p
	}
	err := Decide(a, o, target, m.state())
	if err != nil {
		return err
	}
	set := func(change func(p *Person)) {
		if target != nil {
			change(target)
			m.people[target.ID] = *target
		}
	}
	own := o.Target == actor
	if !own && o.Action != Chat {
		m.changes++
	}
	switch o.Action {
	case Mute:
		if o.Media == "" || o.Media == "audio" {
			set(func(p *Person) { p.Muted = o.On && !own || p.Muted && o.On })
		}
	case MuteAll:
		for id, p := range m.people {
			if p.Role < Moderator {
				p.Muted = o.On
				m.people[id] = p
			}
		}
	case Remove, Ban, Deny, Move:
		set(func(p *Person) { p.Gone = p.Gone || o.On || o.Action != Ban })
	case Admit:
		set(func(p *Person) { p.Waiting = false })
	case Floor:
		set(func(p *Person) { p.Floor = o.On })
	case SetRole:
		role, _ := ParseRole(o.Text)
		set(func(p *Person) { p.Role = role })
	case Lecture:
		m.room.Lecture = o.On
	case SelfUnmute:
		m.room.SelfUnmute = o.On
	case Lock:
		m.locked = o.On
	case Lobby:
		m.lobby = o.On
	}
	return nil
}

func drawMeeting(t *rapid.T) *meeting {
	m := &meeting{people: make(map[string]Person), room: Room{
		Lecture:    rapid.Bool().Draw(t, "lecture"),
		SelfUnmute: rapid.Bool().Draw(t, "selfUnmute"),
		Policy:     RecordOnOrder, Dial: true,
	}}
	for i := range rapid.IntRange(2, 7).Draw(t, "people") {
		id := string(rune('a' + i))
		m.people[id] = Person{
			ID:      id,
			Role:    Role(rapid.IntRange(0, int(Host)).Draw(t, "role")),
			Waiting: rapid.IntRange(0, 4).Draw(t, "waiting") == 0,
			Muted:   rapid.Bool().Draw(t, "muted"),
		}
	}
	return m
}

func actions() []Action {
	var all []Action
	for _, r := range table {
		all = append(all, r.action)
	}
	return all
}

func drawOrder(t *rapid.T, ids []string) Order {
	o := Order{
		Action: rapid.SampledFrom(actions()).Draw(t, "order"),
		Target: rapid.SampledFrom(append(ids, "nobody", "")).Draw(t, "target"),
		On:     rapid.Bool().Draw(t, "on"),
		Media:  rapid.SampledFrom([]string{"", "audio", "video", "screen"}).Draw(t, "media"),
	}
	switch o.Action {
	case SetRole:
		o.Text = rapid.SampledFrom(roleNames[:]).Draw(t, "text")
	case SetLayout:
		o.Text = rapid.SampledFrom(Words[Layout]()).Draw(t, "text")
	case Record:
		o.Text = rapid.SampledFrom([]string{"start", "pause", "resume", "stop"}).Draw(t, "text")
	case Rename, Announce, Chat, Dial, Move:
		o.Text = "other"
	}
	return o
}

// No path of orders by people below moderator gives any of them more than they
// have, or changes anything that is not their own.
func TestNoPathToPower(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMeeting(t)
		ids := slices.Sorted(maps.Keys(m.people))
		var low []string
		for _, id := range ids {
			if m.people[id].Role < Moderator {
				low = append(low, id)
			}
		}
		if len(low) == 0 {
			return
		}
		roles := maps.Clone(m.people)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			m.order(rapid.SampledFrom(low).Draw(t, "actor"), drawOrder(t, ids))
		}
		if m.changes > 0 {
			t.Fatalf("%d changes without a moderator", m.changes)
		}
		for id, p := range m.people {
			was := roles[id]
			if p.Role != was.Role || p.Gone != was.Gone || p.Waiting != was.Waiting || p.Floor && !was.Floor ||
				was.Muted && !p.Muted && !m.room.SelfUnmute {
				t.Fatalf("%+v became %+v", was, p)
			}
		}
	})
}

// Whatever anybody orders: roles rise only by somebody who has the role; who has more
// rights is not touched by who has fewer; orders leave a meeting that had a moderator with
// one, unless a host orders otherwise; in a lecture nobody is heard without floor or rank.
func TestInvariantsUnderRandomOrders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMeeting(t)
		ids := slices.Sorted(maps.Keys(m.people))
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			actor := rapid.SampledFrom(ids).Draw(t, "actor")
			o := drawOrder(t, ids)
			before, led, locked, lobby := maps.Clone(m.people), m.state().Moderators, m.locked, m.lobby
			if m.order(actor, o) != nil && !maps.Equal(before, m.people) {
				t.Fatalf("a refused order changed something: %+v", o)
			}
			a := before[actor]
			if (m.locked != locked || m.lobby != lobby) && a.Role < Moderator {
				t.Fatalf("%+v locked or opened the room", a)
			}
			for id, p := range m.people {
				was := before[id]
				if p == was || id == actor && p.Role <= was.Role {
					continue
				}
				switch {
				case a.Gone || a.Waiting:
					t.Fatalf("%+v is not in the room and did %+v", a, o)
				case p.Role > was.Role && p.Role > a.Role:
					t.Fatalf("%+v gave the role of %+v", a, p)
				case was.Role > a.Role && o.Action != Floor && o.Action != Admit:
					t.Fatalf("%+v did %+v to %+v", a, o, was)
				}
			}
			if led > 0 && m.state().Moderators == 0 && a.Role < Host {
				t.Fatalf("%+v took away the last moderator by %+v", a, o)
			}
			for _, p := range m.people {
				if m.room.Lecture && Heard(p, m.room) && !p.Floor && p.Role < Moderator {
					t.Fatalf("%+v is heard in a lecture", p)
				}
			}
		}
	})
}
