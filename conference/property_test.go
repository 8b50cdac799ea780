package conference

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
)

// deaf is a Listener that does not care.
type deaf struct{ leg *leg.Leg }

func (deaf) Admitted()         {}
func (deaf) Info(*Info)        {}
func (deaf) Chat(Message)      {}
func (deaf) Notice(Notice)     {}
func (d deaf) Ended(EndReason) { d.leg.Close() }

// world is a room under random orders, with what must be true of it.
type world struct {
	room    *Room
	handles []*Member // everybody who ever came in
	listed  map[string]moderation.Role
	banned  map[string]bool // the value: whoever it was had proven it
}

func (w *world) present() []*Member {
	w.room.mu.Lock()
	defer w.room.mu.Unlock()
	return slices.Clone(w.room.members)
}

func (w *world) join(t *rapid.T) {
	w.joinAs(t, rapid.IntRange(0, 7).Draw(t, "who"), rapid.IntRange(0, 3).Draw(t, "proven") > 0)
}

func (w *world) joinAs(t *rapid.T, n int, proven bool) {
	// Four are listed by the room, the others come as they are.
	c := Caller{Door: "web", Name: fmt.Sprint("n", n), Identity: fmt.Sprint("web:", n), Proven: proven}
	_, listed := w.listed[c.Identity]
	listed = listed && c.Proven
	before := w.room.Info()
	l := leg.New(leg.Config{})
	m, err := w.room.Join(t.Context(), c, l, deaf{l})
	if err != nil {
		l.Close()
		return
	}
	w.handles = append(w.handles, m)
	p := find(w.room.Info(), m.ID())
	switch {
	case w.isBanned(c):
		t.Fatalf("%s is banned and came in", c.Identity)
	case before.Locked && p.Role < moderation.Moderator:
		t.Fatalf("came into a locked room: %+v", p)
	case before.Lobby && !listed && !p.Waiting:
		t.Fatalf("passed the lobby: %+v", p)
	case listed && p.Role != w.listed[c.Identity] || !listed && p.Role != moderation.Speaker:
		t.Fatalf("%s came in as %v", c.Identity, p.Role)
	}
}

// ordered are the participants without what is measured of them each second.
func ordered(i *Info) []Participant {
	out := slices.Clone(i.Participants)
	for k := range out {
		out[k].Network, out[k].Quality = "", leg.Quality{}
	}
	return out
}

func find(info *Info, id string) *Participant {
	for i := range info.Participants {
		if info.Participants[i].ID == id {
			return &info.Participants[i]
		}
	}
	return nil
}

// isBanned: nobody who can prove who they are suffers for what another did in their name.
func (w *world) isBanned(c Caller) bool {
	proven, ok := w.banned[c.Identity]
	return ok && (proven || !c.Proven)
}

// draw picks one of the newest, most of whom are still there.
func (w *world) draw(t *rapid.T, what string) *Member {
	newest := w.handles[max(0, len(w.handles)-6):]
	return newest[rapid.IntRange(0, len(newest)-1).Draw(t, what)]
}

func (w *world) order(t *rapid.T) {
	actor, target := w.draw(t, "actor"), w.draw(t, "target")
	o := moderation.Order{
		Action: rapid.SampledFrom([]moderation.Action{
			moderation.Mute, moderation.MuteAll, moderation.MuteOthers, moderation.SelfUnmute, moderation.Remove, moderation.Ban,
			moderation.Lock, moderation.Lobby, moderation.Admit, moderation.Deny, moderation.AdmitAll, moderation.Hand, moderation.Floor,
			moderation.Lecture, moderation.Pin, moderation.Rename, moderation.SetRole, moderation.Limits, moderation.Chat, moderation.End,
		}).Draw(t, "order"),
		Target: target.ID(),
		On:     rapid.Bool().Draw(t, "on"),
	}
	switch o.Action {
	case moderation.SetRole:
		o.Text = rapid.SampledFrom([]string{"observer", "listener", "speaker", "moderator", "host"}).Draw(t, "role")
	case moderation.Rename, moderation.Chat:
		o.Text = "x"
	case moderation.Limits:
		o.N = rapid.IntRange(1, 6).Draw(t, "n")
	case moderation.Ban:
		if !o.On {
			o.Target = target.caller.Identity
		}
	}
	before := w.room.Info()
	a, b := find(before, actor.ID()), find(before, target.ID())
	err := actor.Order(o)
	after := w.room.Info()

	if err != nil {
		if !reflect.DeepEqual(ordered(before), ordered(after)) || before.Locked != after.Locked || before.Lobby != after.Lobby || before.Lecture != after.Lecture {
			t.Fatalf("%+v was refused (%v) and changed the room", o, err)
		}
		return
	}
	if a == nil || a.Waiting {
		t.Fatalf("%+v was obeyed though its actor was not in the room: %+v", o, a)
	}
	own := o.Target == actor.ID()
	if a.Role < moderation.Moderator && o.Action != moderation.Chat &&
		!(own && slices.Contains([]moderation.Action{moderation.Mute, moderation.Hand, moderation.Floor, moderation.Rename}, o.Action)) {
		t.Fatalf("%+v was obeyed to a %v", o, a.Role)
	}
	switch o.Action {
	case moderation.Ban:
		if id := target.caller.Identity; o.On {
			w.banned[id] = w.banned[id] || target.caller.Proven
		} else {
			delete(w.banned, id)
		}
	case moderation.End:
		clear(w.banned)
	case moderation.SetRole:
		role, _ := moderation.ParseRole(o.Text)
		if role > a.Role || b.Role > a.Role {
			t.Fatalf("a %v made a %v of a %v", a.Role, role, b.Role)
		}
	}
}

// check looks at what must always be true.
func (w *world) check(t *rapid.T) {
	info := w.room.Info()
	members := w.present()
	if len(members) == 0 {
		clear(w.banned) // bans for the meeting end with it
		if info.Locked || info.Lobby || info.Lecture {
			t.Fatalf("an order outlived its meeting: %+v", info)
		}
	}
	inMix := w.room.mix.Activity()
	seen := make(map[string]bool)
	for _, m := range members {
		if w.isBanned(m.caller) {
			t.Fatalf("%s is banned and in the room", m.caller.Identity)
		}
	}
	for _, p := range info.Participants {
		if seen[p.Name] {
			t.Fatalf("two are called %q", p.Name)
		}
		seen[p.Name] = true
		if _, ok := inMix[p.ID]; ok == p.Waiting {
			t.Fatalf("in the mix: %v, waiting: %v", ok, p.Waiting)
		}
	}
	if len(inMix) != len(info.Participants)-waiting(info) {
		t.Fatalf("%d in the mix of %d", len(inMix), len(info.Participants))
	}
	for _, m := range members {
		p := find(info, m.ID())
		heard := !p.Waiting && !p.Muted && !p.SelfMuted && p.Role != moderation.Observer &&
			(p.Role >= moderation.Moderator || p.Floor || p.Role == moderation.Speaker && !info.Lecture)
		w.room.mu.Lock()
		silenced := m.told.Silenced || m.waiting
		w.room.mu.Unlock()
		if silenced == heard {
			t.Fatalf("%+v is heard: %v, lecture: %v", p, !silenced, info.Lecture)
		}
	}
}

func waiting(info *Info) (n int) {
	for _, p := range info.Participants {
		if p.Waiting {
			n++
		}
	}
	return n
}

// Random people come, go and order whatever they like: nobody gets in or up who must not.
func TestRoomUnderRandomOrders(t *testing.T) {
	h := newHost(t, Config{})
	rooms := 0
	rapid.Check(t, func(t *rapid.T) {
		rooms++
		listed := map[string]moderation.Role{"web:0": moderation.Host, "web:1": moderation.Moderator, "web:2": moderation.Listener, "web:3": moderation.Observer}
		r, err := h.Create(settingstest.Room(settings.Room{ID: fmt.Sprint("r", rooms), Roles: settings.Roles{
			Host: []string{"web:0"}, Moderator: []string{"web:1"}, Listener: []string{"web:2"}, Observer: []string{"web:3"},
		}}))
		if err != nil {
			t.Fatal(err)
		}
		defer h.Delete(r.ID())
		w := &world{room: r, banned: make(map[string]bool), listed: listed}
		for _, n := range []int{0, 1, 1, 5} { // a host, a moderator with two devices, a guest
			w.joinAs(t, n, true)
		}
		t.Repeat(map[string]func(*rapid.T){
			"join": w.join,
			"leave": func(t *rapid.T) {
				if len(w.handles) > 0 {
					w.draw(t, "leaver").Leave(EndLeft)
				}
			},
			"order": func(t *rapid.T) {
				if len(w.handles) > 0 {
					w.order(t)
				}
			},
			"": w.check,
		})
	})
}
