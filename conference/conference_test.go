package conference

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/internal/eventually"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
)

func TestJoinAndLeave(t *testing.T) {
	r := newRoomOf(t, settings.Room{Title: "Main room"})
	a, ea := join(t, r, Caller{Name: "Ann", Identity: "web:a", Connection: "WebRTC", Agent: "x", Session: "s1", Address: "web"})
	b, eb := join(t, r, Caller{Door: "sip", Address: "sip:bob@example.org", Session: "s2"})
	ea.waitInfo(t, "both", func(i *Info) bool { return len(i.Participants) == 2 })
	info := eb.waitInfo(t, "both", func(i *Info) bool { return len(i.Participants) == 2 })
	if p := info.Participants[0]; p.ID != a.ID() || p.Name != "Ann" || p.Door != "web" || p.Connection != "WebRTC" ||
		p.Role != moderation.Speaker || p.Waiting || p.Session != "s1" || p.Identity != "web:a" || p.Joined.IsZero() || len(p.Streams) != 1 {
		t.Errorf("Ann is shown as %+v", p)
	}
	if p := info.Participants[1]; p.ID != b.ID() || p.Name != "sip:bob@example.org" || p.Door != "sip" {
		t.Errorf("Bob is shown as %+v", p)
	}
	if info.Room != "main" || info.Title != "Main room" || info.Width != 1280 || info.Height != 720 || info.Recording != "off" || info.Began == nil {
		t.Errorf("room is shown as %+v", info)
	}
	ea.waitNotice(t, NoticeEntered)
	a.Leave(EndLeft)
	a.Leave(EndTimeout)
	ea.waitEnded(t, EndLeft)
	if n := eb.waitNotice(t, NoticeLeft); n.Text != "Ann" {
		t.Errorf("told that %q left", n.Text)
	}
	mustNot(t, a, moderation.Order{Action: moderation.Chat, Text: "still here?"}, "You are no longer in the meeting.")
	b.Leave(EndTimeout)
	eb.waitEnded(t, EndTimeout)
	for _, e := range []*ear{ea, eb} {
		if e.admitted != 1 || len(e.late) > 0 {
			t.Errorf("admitted %d times; heard after the end: %v", e.admitted, e.late)
		}
	}
	if info := r.Info(); len(info.Participants) != 0 || info.Began != nil {
		t.Errorf("the empty room is shown as %+v", info)
	}
}

func TestNames(t *testing.T) {
	r := newRoomOf(t, settings.Room{})
	a, _ := join(t, r, Caller{Name: "Ann"})
	b, _ := join(t, r, Caller{Name: " ann\n"})
	c, _ := join(t, r, Caller{Address: "web"})
	for m, want := range map[*Member]string{a: "Ann", b: "ann (2)", c: "Guest"} {
		if got := see(t, r, m.ID()).Name; got != want {
			t.Errorf("called %q, want %q", got, want)
		}
	}
	must(t, c, moderation.Order{Action: moderation.Rename, Text: "ANN"})
	if got := see(t, r, c.ID()).Name; got != "ANN (3)" {
		t.Errorf("called %q", got)
	}
	must(t, a, moderation.Order{Action: moderation.Rename, Text: "Ann"}) // their own name is not taken
	if got := see(t, r, a.ID()).Name; got != "Ann" {
		t.Errorf("called %q", got)
	}
	info := r.Info()
	for text, want := range map[string]string{"ann": a.ID(), "ANN (3)": c.ID(), a.ID(): a.ID(), "ann (2": b.ID()} {
		if p, err := info.Find(text); err != nil || p.ID != want {
			t.Errorf("%q found %v, %v", text, p, err)
		}
	}
	for text, want := range map[string]string{"an": `3 people here have names that begin with "an"`, "bob": `nobody here is called "bob"`, "": `nobody here is called ""`} {
		if _, err := info.Find(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestReconnectReplaces(t *testing.T) {
	r := newRoomOf(t, settings.Room{})
	mod, _ := joinAs(t, r, "mod", moderation.Moderator)
	c := proven("ann", moderation.Speaker)
	c.Session = "s1"
	a, ea := join(t, r, c)
	last, _ := joinAs(t, r, "last", moderation.Speaker)
	must(t, mod, moderation.Order{Action: moderation.SetRole, Target: a.ID(), Text: "moderator"})
	must(t, mod, moderation.Order{Action: moderation.Mute, Target: a.ID(), On: true})
	must(t, a, moderation.Order{Action: moderation.Hand, On: true})
	must(t, mod, moderation.Order{Action: moderation.Lock, On: true})
	again, eagain := join(t, r, c)
	ea.waitEnded(t, EndReplaced)
	if again.ID() != a.ID() {
		t.Errorf("the id changed")
	}
	if p := see(t, r, a.ID()); p.Role != moderation.Moderator || !p.Muted || p.Hand == nil || p.Name != "ann" {
		t.Errorf("came back as %+v", p)
	}
	info := r.Info()
	if len(info.Participants) != 3 || info.Participants[1].ID != a.ID() || info.Participants[2].ID != last.ID() {
		t.Errorf("the order of arrival is lost: %+v", info.Participants)
	}
	a.Leave(EndLeft) // the door of the old connection is late
	mustNot(t, a, moderation.Order{Action: moderation.Chat, Text: "x"}, "You are no longer in the meeting.")
	if see(t, r, again.ID()).Waiting {
		t.Error("the new presence was touched")
	}
	eagain.mu.Lock()
	if len(eagain.ended) > 0 {
		t.Error("the new presence was ended by the old one's door")
	}
	eagain.mu.Unlock()

	// Without proof, or with another session, it is somebody else.
	must(t, mod, moderation.Order{Action: moderation.Lock})
	c.Proven, c.Grant = false, nil
	other, _ := join(t, r, c)
	c.Proven, c.Session = true, "s2"
	second, _ := join(t, r, c)
	if other.ID() == a.ID() || second.ID() == a.ID() || len(r.Info().Participants) != 5 {
		t.Errorf("replaced by somebody else")
	}
}

func TestEmptyRoomIsIdle(t *testing.T) {
	before := runtime.NumGoroutine()
	var rooms []settings.Room
	for i := range 200 {
		rooms = append(rooms, settings.Room{ID: name(i)})
	}
	h := newHost(t, Config{}, rooms...)
	for _, r := range h.Rooms()[:20] {
		a, ea := join(t, r, Caller{Name: "Ann"})
		a.Leave(EndLeft)
		ea.waitEnded(t, EndLeft)
		r.wg.Wait()
	}
	h.wg.Wait()
	eventually.NoError(t, func() error {
		if n := runtime.NumGoroutine() - before; n > 0 {
			return fmt.Errorf("%d goroutines run in empty rooms", n)
		}
		return nil
	})
}

func TestRoomsMadeAndConfigured(t *testing.T) {
	store := &memoryStore{}
	h := newHost(t, Config{Store: store}, settings.Room{ID: "a"}, settings.Room{ID: "b", PIN: "1"})
	if _, err := h.Create(settingstest.Room(settings.Room{ID: "a"})); !errors.Is(err, ErrRoomExists) {
		t.Errorf("created twice: %v", err)
	}
	made, err := h.Create(settingstest.Room(settings.Room{ID: "made", Title: "Made"}))
	if err != nil {
		t.Fatal(err)
	}
	_, e := join(t, made, Caller{Name: "Ann"})
	if len(store.rooms) != 1 || store.rooms[0].ID != "made" {
		t.Errorf("kept %+v", store.rooms)
	}
	for _, bad := range []settings.Room{
		{ID: "Upper"}, {ID: ""}, {ID: "../etc"}, {ID: "x", Roles: settings.Roles{Default: moderation.Host}},
		{ID: "x", PIN: "1", ModeratorPIN: "1"}, {ID: "x", Layout: "pile"}, {ID: "x", Recording: "perhaps"}, {ID: "x", MaxParticipants: -1},
	} {
		room := settingstest.Room(bad)
		room.ID = bad.ID
		if _, err := h.Create(room); err == nil {
			t.Errorf("created %+v", bad)
		}
	}
	if err := h.Delete("a"); !errors.Is(err, ErrRoomDeclared) {
		t.Errorf("deleted a declared room: %v", err)
	}
	if _, err := h.Change("a", func(r settings.Room) (settings.Room, error) { return r, nil }); !errors.Is(err, ErrRoomDeclared) {
		t.Errorf("changed a declared room: %v", err)
	}
	// A reload: a is gone, b has a new PIN, c is new; the made one stays.
	if err := h.Configure(settingstest.Rooms(settings.Room{ID: "b", PIN: "2", Title: "B"}, settings.Room{ID: "c"})); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range h.Rooms() {
		ids = append(ids, r.ID())
	}
	if want := []string{"b", "c", "made"}; !slices.Equal(ids, want) {
		t.Errorf("rooms are %v, want %v", ids, want)
	}
	b, _ := h.Room("b")
	_, _, err = admit(b, Caller{PIN: "1"})
	refused(t, err, RefusedPIN)
	join(t, b, Caller{PIN: "2"})
	if b.Title() != "B" || !b.NeedsPIN() {
		t.Error("the reload did not reach the room")
	}
	_, err = h.Room("a")
	refused(t, err, RefusedNoRoom)
	if err := h.Configure(settingstest.Rooms(settings.Room{ID: "made"})); err == nil {
		t.Error("a declared room took the id of a made one")
	}
	if err := h.Delete("made"); err != nil {
		t.Fatal(err)
	}
	e.waitEnded(t, EndMeeting)
	if len(store.rooms) != 0 {
		t.Errorf("kept %+v", store.rooms)
	}
}

func TestFoyer(t *testing.T) {
	h := newHost(t, Config{}, settings.Room{})
	l := leg.New(leg.Config{})
	defer l.Close()
	leave := h.Foyer(l)
	select {
	case <-l.Play(make([]int16, 4800)):
	case <-time.After(patience):
		t.Error("what is played in the foyer never ends")
	}
	leave()
	leave()
}

func TestDrainAndClose(t *testing.T) {
	h := newHost(t, Config{}, settings.Room{Dial: true})
	r := h.Rooms()[0]
	m, e := joinAs(t, r, "mod", moderation.Moderator)
	h.Drain("Back in a minute.")
	if n := e.waitNotice(t, NoticeEnding); n.Text != "Back in a minute." {
		t.Errorf("told %q", n.Text)
	}
	_, _, err := admit(r, Caller{Name: "late"})
	refused(t, err, RefusedDraining)
	mustNot(t, m, moderation.Order{Action: moderation.Dial, Text: "sip:x@y"}, "The host is about to stop.")
	must(t, m, moderation.Order{Action: moderation.Lock, On: true}) // the meeting goes on
	h.Close()
	e.waitEnded(t, EndShutdown)
	if h.Participants() != 0 {
		t.Errorf("%d participants left", h.Participants())
	}
	_, _, err = admit(r, Caller{Name: "later"})
	refused(t, err, RefusedDraining)
}

func TestStoreThatFails(t *testing.T) {
	if _, err := NewHost(Config{Log: slog.New(slog.DiscardHandler), Store: &memoryStore{err: errors.New("no disk")}}); err == nil {
		t.Error("the host starts without knowing who is banned")
	}
	bad := Config{Log: slog.New(slog.DiscardHandler), Rooms: settingstest.Rooms(settings.Room{ID: "a"}, settings.Room{ID: "a"})}
	if _, err := NewHost(bad); !errors.Is(err, ErrRoomExists) {
		t.Errorf("two rooms of one id: %v", err)
	}
}
