package conference

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

// silenced reports whether the mixer keeps a member's sound from the others.
func silenced(r *Room, m *Member) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return m.told.Silenced
}

func TestMutes(t *testing.T) {
	r := newRoomOf(t, settings.Room{})
	host, _ := joinAs(t, r, "host", moderation.Host)
	mod, _ := joinAs(t, r, "mod", moderation.Moderator)
	a, ea := joinAs(t, r, "a", moderation.Speaker)
	b, _ := joinAs(t, r, "b", moderation.Speaker)
	expect := func(when string, want ...*Member) {
		t.Helper()
		for _, m := range []*Member{host, mod, a, b} {
			if got := silenced(r, m); got != slices.Contains(want, m) {
				t.Errorf("%s: %s silenced: %v", when, see(t, r, m.ID()).Name, got)
			}
		}
	}
	expect("at first")
	must(t, mod, moderation.Order{Action: moderation.Mute, Target: a.ID(), On: true})
	expect("one muted", a)
	if n := ea.waitNotice(t, NoticeMuted); n.Text != "A moderator has muted you." {
		t.Errorf("told %q", n.Text)
	}
	mustNot(t, a, moderation.Order{Action: moderation.Mute}, "A moderator has muted you.")
	var refusal *moderation.Refusal
	if err := a.SetSelfMuted(false); !errors.As(err, &refusal) {
		t.Errorf("unmuted themselves: %v", err)
	}
	expect("they try", a)
	must(t, mod, moderation.Order{Action: moderation.SelfUnmute, On: true})
	if err := a.SetSelfMuted(false); err != nil {
		t.Error(err)
	}
	expect("they may")
	ea.waitNotice(t, NoticeUnmuted)

	// One's own mute is shown, and nobody else lifts it.
	if err := a.SetSelfMuted(true); err != nil {
		t.Error(err)
	}
	must(t, mod, moderation.Order{Action: moderation.Mute, Target: a.ID()})
	if p := see(t, r, a.ID()); !p.SelfMuted || p.Muted {
		t.Errorf("shown as %+v", p)
	}
	expect("they muted themselves", a) // whatever their device goes on sending
	must(t, a, moderation.Order{Action: moderation.Mute})
	if see(t, r, a.ID()).SelfMuted {
		t.Error("still muted")
	}
	must(t, mod, moderation.Order{Action: moderation.MuteAll, On: true})
	expect("all muted", a, b)
	must(t, mod, moderation.Order{Action: moderation.MuteAll})
	expect("all unmuted")
	r.mu.Lock()
	b.talking = true
	r.mu.Unlock()
	must(t, mod, moderation.Order{Action: moderation.MuteOthers, On: true})
	expect("all but talkers muted", a)
	must(t, mod, moderation.Order{Action: moderation.Mute, Targets: []string{a.ID(), b.ID()}, On: true})
	expect("several muted", a, b)
	must(t, mod, moderation.Order{Action: moderation.Mute, Target: a.ID(), Media: "video", On: true})
	if s := see(t, r, a.ID()).Streams[0]; !s.Muted {
		t.Errorf("camera is shown as %+v", s)
	}

	// Part of a bulk order is refused.
	err := mod.Order(moderation.Order{Action: moderation.Mute, Targets: []string{a.ID(), host.ID(), "gone"}})
	if want := "Refused for 2 of 3. You cannot do this to a host."; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
	expect("the rest was done", b)
}

func TestNoisyOnesAreMuted(t *testing.T) {
	var fan, talker, short noiseMeter
	for i := range noiseSpan {
		fan.add(uint8(40 + i%5))
		level := uint8(20)
		if i%5 == 4 {
			level = 60 // a pause between words
		}
		talker.add(level)
		if i > 0 {
			short.add(40)
		}
	}
	if !fan.noisy() || talker.noisy() || short.noisy() {
		t.Errorf("noisy: fan %v, talker %v, too short %v", fan.noisy(), talker.noisy(), short.noisy())
	}
	r := newRoomOf(t, settings.Room{})
	mod, _ := joinAs(t, r, "mod", moderation.Moderator)
	a, _ := joinAs(t, r, "a", moderation.Speaker)
	b, _ := joinAs(t, r, "b", moderation.Speaker)
	r.mu.Lock()
	a.noise, b.noise, mod.noise = fan, talker, fan
	r.mu.Unlock()
	must(t, mod, moderation.Order{Action: moderation.MuteNoisy})
	if !silenced(r, a) || silenced(r, b) || silenced(r, mod) {
		t.Error("the wrong ones were muted")
	}
}

func TestLectureAndFloor(t *testing.T) {
	r := newRoomOf(t, settings.Room{Lecture: true})
	mod, emod := joinAs(t, r, "mod", moderation.Moderator)
	a, ea := joinAs(t, r, "a", moderation.Speaker)
	b, _ := joinAs(t, r, "b", moderation.Listener)
	ea.waitNotice(t, NoticeMuted)
	if silenced(r, mod) || !silenced(r, a) || !silenced(r, b) {
		t.Error("the wrong ones are heard in a lecture")
	}
	must(t, b, moderation.Order{Action: moderation.Hand, On: true})
	if n := emod.waitNotice(t, NoticeHand); n.Text != "b" {
		t.Errorf("told of %q's hand", n.Text)
	}
	must(t, a, moderation.Order{Action: moderation.Hand, On: true})
	must(t, b, moderation.Order{Action: moderation.Hand, On: true}) // again: keeps their place
	if got, want := hands(r.Info()), []string{b.ID(), a.ID()}; !slices.Equal(got, want) {
		t.Errorf("queue is %v, want %v", got, want)
	}
	must(t, mod, moderation.Order{Action: moderation.Mute, Target: a.ID(), On: true})
	must(t, mod, moderation.Order{Action: moderation.Floor, Target: a.ID(), On: true})
	ea.waitNotice(t, NoticeUnmuted)
	if p := see(t, r, a.ID()); silenced(r, a) || p.Hand != nil || !p.Floor || p.Muted {
		t.Errorf("has the floor: %+v", p)
	}
	must(t, a, moderation.Order{Action: moderation.Floor}) // gives it back
	if !silenced(r, a) {
		t.Error("heard without the floor")
	}
	must(t, mod, moderation.Order{Action: moderation.Lecture})
	if silenced(r, a) || !silenced(r, b) {
		t.Error("the wrong ones are heard after the lecture")
	}
	must(t, mod, moderation.Order{Action: moderation.SetRole, Target: b.ID(), Text: "observer"})
	if p := see(t, r, b.ID()); p.Hand != nil || p.Streams != nil || !silenced(r, b) {
		t.Errorf("observer shown as %+v", p)
	}
}

func TestPictureOrders(t *testing.T) {
	r := newRoomOf(t, settings.Room{})
	mod, _ := joinAs(t, r, "mod", moderation.Moderator)
	a, _ := joinAs(t, r, "a", moderation.Speaker)
	must(t, mod, moderation.Order{Action: moderation.SetLayout, Text: "one-big-with-small"})
	must(t, mod, moderation.Order{Action: moderation.Pin, Target: a.ID(), On: true, Media: "screen"})
	must(t, mod, moderation.Order{Action: moderation.HideNonVideo, On: true})
	must(t, mod, moderation.Order{Action: moderation.OrderTiles, Targets: []string{a.ID(), "gone"}})
	if i := r.Info(); i.Layout != moderation.LayoutOneBigWithSmall || !i.HideNonVideo {
		t.Errorf("shown as %+v", i)
	}
	r.mu.Lock()
	if r.pinned != (pin{a.ID(), "screen"}) || a.told.Order != 0 || mod.told.Order != 2 {
		t.Errorf("pinned %+v, order %d, %d", r.pinned, a.told.Order, mod.told.Order)
	}
	r.mu.Unlock()
	must(t, mod, moderation.Order{Action: moderation.Pin, Target: "gone"})
	must(t, mod, moderation.Order{Action: moderation.OrderTiles})
	r.mu.Lock()
	if r.pinned != (pin{}) || mod.told.Order != 0 {
		t.Errorf("pinned %+v, order %d", r.pinned, mod.told.Order)
	}
	r.mu.Unlock()
	must(t, mod, moderation.Order{Action: moderation.Pin, Target: a.ID(), On: true})
	a.Leave(EndLeft)
	r.mu.Lock()
	if r.pinned != (pin{}) {
		t.Error("somebody who left is pinned")
	}
	r.mu.Unlock()
}

func TestChat(t *testing.T) {
	r := newRoomOf(t, settings.Room{})
	a, ea := join(t, r, Caller{Name: "Ann"})
	_, eb := join(t, r, Caller{Name: "Bob", Observer: true})
	must(t, a, moderation.Order{Action: moderation.Chat, Text: " hello\n"})
	if err := r.Order(Operator{Name: "api", Role: moderation.Speaker}, moderation.Order{Action: moderation.Chat, Text: "from outside"}); err != nil {
		t.Fatal(err)
	}
	for _, e := range []*ear{ea, eb} {
		e.wait(t, "two lines", func() bool { return len(e.chats) == 2 })
		m, o := e.chats[0], e.chats[1]
		if m.From != a.ID() || m.Name != "Ann" || m.Text != "hello" || m.ID == "" || m.ID == o.ID || o.From != "" || o.Name != "api" {
			t.Errorf("heard %+v", e.chats)
		}
	}
	for range historyLength + 5 {
		r.Order(Operator{Role: moderation.Speaker}, moderation.Order{Action: moderation.Chat, Text: "more"})
	}
	if n := len(r.History()); n != historyLength {
		t.Errorf("%d lines are kept", n)
	}
	must(t, a, moderation.Order{Action: moderation.Chat, Text: "a secret"})
	for _, e := range r.Audit(0) {
		if e.Order.Text != "" {
			t.Errorf("the audit log has words of the chat: %+v", e)
		}
	}
	r.Order(Operator{Role: moderation.Host}, moderation.Order{Action: moderation.End})
	join(t, r, Caller{})
	if n := len(r.History()); n != 0 {
		t.Errorf("the next meeting reads %d lines of this one", n)
	}
}

func TestMove(t *testing.T) {
	h := newHost(t, Config{}, settings.Room{ID: "a"}, settings.Room{ID: "b", Title: "Room B"}, settings.Room{ID: "closed", PIN: "1", Roles: settings.Roles{Moderator: []string{"web:leader"}}}, settings.Room{ID: "full", MaxParticipants: 1})
	room := func(id string) *Room { r, _ := h.Room(id); return r }
	a, b := room("a"), room("b")
	mod, _ := joinAs(t, a, "mod", moderation.Moderator)
	bob, ebob := join(t, a, Caller{Name: "Bob", Identity: "web:bob"})
	join(t, b, Caller{Name: "Bob"})
	join(t, room("full"), Caller{})
	must(t, mod, moderation.Order{Action: moderation.Mute, Target: bob.ID(), On: true})
	mustNot(t, mod, moderation.Order{Action: moderation.Move, Target: bob.ID(), Text: "nowhere"}, `There is no room "nowhere".`)
	mustNot(t, mod, moderation.Order{Action: moderation.Move, Target: bob.ID(), Text: "a"}, "They are in this room.")
	mustNot(t, mod, moderation.Order{Action: moderation.Move, Target: bob.ID(), Text: "full"}, "full: The room is full.")
	must(t, mod, moderation.Order{Action: moderation.Move, Target: bob.ID(), Text: "b"})
	if n := ebob.waitNotice(t, NoticeMoved); n.Text != "Room B" {
		t.Errorf("told %q", n.Text)
	}
	ebob.waitInfo(t, "the other room", func(i *Info) bool { return i.Room == "b" && len(i.Participants) == 2 })
	if p := see(t, b, bob.ID()); bob.Room() != b || p.Name != "Bob (2)" || p.Muted || p.Waiting {
		t.Errorf("is in %s as %+v", bob.Room().ID(), p)
	}
	if _, inMix := b.mix.Activity()[bob.ID()]; !inMix || len(a.mix.Activity()) != 1 {
		t.Error("the mixes do not agree")
	}
	mustNot(t, mod, moderation.Order{Action: moderation.Mute, Target: bob.ID(), On: true}, "The participant has left.")
	must(t, bob, moderation.Order{Action: moderation.Chat, Text: "hi"}) // in b
	if len(b.History()) != 1 || len(a.History()) != 0 {
		t.Error("spoke in the wrong room")
	}

	// A room with a PIN takes nobody whom only others know: who leads here could come in there themselves. Who may
	// let people in there brings them into its lobby; their rights stay behind.
	second, _ := joinAs(t, a, "second", moderation.Moderator)
	move := moderation.Order{Action: moderation.Move, Target: second.ID(), Text: "closed"}
	mustNot(t, second, move, "closed: Only its moderators bring people in, as it has a PIN.")
	mustNot(t, mod, move, "closed: Only its moderators bring people in, as it has a PIN.")
	for _, by := range []Operator{
		{Role: moderation.Host},
		{Role: moderation.Host, Identity: "jami:stranger"},
		{Role: moderation.Host, Elsewhere: func(id string) bool { return id == "b" }},
	} {
		if err := a.Order(by, move); err == nil {
			t.Errorf("moved by %+v", by)
		}
	}
	if err := a.Order(Operator{Role: moderation.Host, Identity: "web:leader"}, move); err != nil {
		t.Error(err)
	}
	if p := see(t, room("closed"), second.ID()); !p.Waiting || p.Role != moderation.Speaker {
		t.Errorf("came in as %+v", p)
	}
	// In the lobby they see themselves, and no more, whatever they were shown before.
	join(t, room("closed"), Caller{Name: "Carol", PIN: "1"})
	must(t, mod, moderation.Order{Action: moderation.Chat, Text: "in a"})
	if in, _, ok := second.Role(); in != room("closed") || ok {
		t.Errorf("in %s, %v", in.ID(), ok)
	}
	if info, chat := second.View(); !info.Lobby || len(info.Participants) != 1 || len(chat) != 0 {
		t.Errorf("sees %+v and %v", info, chat)
	}
	mustNot(t, mod, moderation.Order{Action: moderation.Move, Target: mod.ID(), Text: "b"}, "The meeting would be left without a moderator.")
	bob.Leave(EndLeft)
	ebob.waitEnded(t, EndLeft)
	if len(ebob.late) > 0 || ebob.admitted != 2 {
		t.Errorf("admitted %d times, late %v", ebob.admitted, ebob.late)
	}
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, Config{}, settings.Room{})
		defer h.Close()
		a, _ := join(t, h.Rooms()[0], Caller{Name: "Ann"})
		chat := moderation.Order{Action: moderation.Chat, Text: "x"}
		for range paceBurst {
			must(t, a, chat)
		}
		mustNot(t, a, chat, "That is too much at once. Wait a moment.")
		time.Sleep(time.Second)
		for range paceRefill {
			must(t, a, chat)
		}
		mustNot(t, a, chat, "That is too much at once. Wait a moment.")
		if n := len(h.Rooms()[0].Audit(0)); n != paceBurst+paceRefill {
			t.Errorf("the audit log has %d entries", n)
		}
		mod, _ := joinAs(t, h.Rooms()[0], "mod", moderation.Moderator)
		for range 1000 {
			must(t, mod, chat)
		}
	})
}

// Two rooms' members are moved to and fro while they leave: nobody is lost,
// nobody is in two rooms, and nothing locks up.
func TestMovesRace(t *testing.T) {
	h := newHost(t, Config{}, settings.Room{ID: "a"}, settings.Room{ID: "b"})
	a, _ := h.Room("a")
	b, _ := h.Room("b")
	by := Operator{Name: "api", Role: moderation.Host}
	var ears []*ear
	var members []*Member
	for i := range 20 {
		m, e := join(t, []*Room{a, b}[i%2], Caller{Name: name(i)})
		members, ears = append(members, m), append(ears, e)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 100 {
				m := members[(i*7+g)%len(members)]
				if g%2 == 0 {
					a.Order(by, moderation.Order{Action: moderation.Move, Target: m.ID(), Text: "b"})
				} else {
					b.Order(by, moderation.Order{Action: moderation.Move, Target: m.ID(), Text: "a"})
				}
				m.SetRecording(i%2 == 0)
			}
		})
	}
	wg.Go(func() {
		for _, m := range members[:10] {
			m.Leave(EndLeft)
		}
	})
	wg.Wait()
	for _, e := range ears[:10] {
		e.waitEnded(t, EndLeft)
	}
	if got := len(a.Info().Participants) + len(b.Info().Participants); got != 10 || h.Participants() != 10 {
		t.Errorf("%d participants are shown, %d counted, want 10", got, h.Participants())
	}
}

// dialer joins whom it is told to call.
type dialer struct {
	claims    map[string]Claim // by what an address begins with
	addresses chan string
	err       error
}

func (d *dialer) Takes(address string) (c Claim) {
	for begins, claim := range d.claims {
		if strings.HasPrefix(address, begins) {
			c = max(c, claim)
		}
	}
	return c
}

func (d *dialer) Dial(ctx context.Context, r *Room, address string) error {
	d.addresses <- address
	return d.err
}

func TestDial(t *testing.T) {
	h := newHost(t, Config{}, settings.Room{Dial: true}, settings.Room{ID: "quiet"})
	r, _ := h.Room("main")
	sip := &dialer{claims: map[string]Claim{"sip:": Mine, "+": Perhaps, "a": Perhaps}, addresses: make(chan string, 10)}
	jami := &dialer{claims: map[string]Claim{"abab": Mine}, addresses: make(chan string, 10), err: errors.New("no answer")}
	h.AddDialer(sip)
	h.AddDialer(jami)
	mod, emod := joinAs(t, r, "mod", moderation.Moderator)
	must(t, mod, moderation.Order{Action: moderation.Dial, Text: "sip:bob@example.org"})
	must(t, mod, moderation.Order{Action: moderation.Dial, Text: "+4930123"})
	must(t, mod, moderation.Order{Action: moderation.Dial, Text: strings.Repeat("ab", 20)})
	got := []string{<-sip.addresses, <-sip.addresses, <-jami.addresses}
	slices.Sort(got[:2])
	if want := []string{"+4930123", "sip:bob@example.org", strings.Repeat("ab", 20)}; !slices.Equal(got, want) {
		t.Errorf("called %v, want %v", got, want)
	}
	if n := emod.waitNotice(t, NoticeRefused); !strings.HasSuffix(n.Text, "abab: no answer") {
		t.Errorf("told %q", n.Text)
	}
	mustNot(t, mod, moderation.Order{Action: moderation.Dial, Text: "fax:1"}, `There is no way to call "fax:1".`)
	quiet, _ := h.Room("quiet")
	m2, _ := joinAs(t, quiet, "mod", moderation.Moderator)
	mustNot(t, m2, moderation.Order{Action: moderation.Dial, Text: "sip:x@y"}, "This room does not call out.")
}

// speaker says a beep of a known length.
type speaker struct{ said chan string }

func (s *speaker) Speak(ctx context.Context, text string) ([]int16, error) {
	s.said <- text
	return make([]int16, 960), nil
}

func TestAnnounce(t *testing.T) {
	s := &speaker{said: make(chan string, 10)}
	h := newHost(t, Config{Speaker: s}, settings.Room{})
	r := h.Rooms()[0]
	mod, _ := joinAs(t, r, "mod", moderation.Moderator)
	_, ea := join(t, r, Caller{})
	must(t, mod, moderation.Order{Action: moderation.Announce, Text: "Lunch."})
	if n := ea.waitNotice(t, NoticeAnnouncement); n.Text != "Lunch." {
		t.Errorf("told %q", n.Text)
	}
	select {
	case got := <-s.said:
		if got != "Lunch." {
			t.Errorf("said %q", got)
		}
	case <-time.After(patience):
		t.Error("nothing was said")
	}
}

// Two moderators order the opposite at the same moment: one order counts, the
// other's actor has lost the right to give it.
func TestTies(t *testing.T) {
	for range 20 {
		for _, order := range []moderation.Order{
			{Action: moderation.Remove}, {Action: moderation.Ban, On: true}, {Action: moderation.SetRole, Text: "listener"},
		} {
			r := newRoomOf(t, settings.Room{})
			a, _ := joinAs(t, r, "a", moderation.Moderator)
			b, _ := joinAs(t, r, "b", moderation.Moderator)
			var errs [2]error
			var wg sync.WaitGroup
			for i, m := range []*Member{a, b} {
				o := order
				o.Target = []*Member{b, a}[i].ID()
				wg.Go(func() { errs[i] = m.Order(o) })
			}
			wg.Wait()
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("%s: %v and %v", order.Action, errs[0], errs[1])
			}
			if n := r.count(moderation.Moderator); n != 1 {
				t.Fatalf("%s: %d moderators are left", order.Action, n)
			}
			r.Order(Operator{Role: moderation.Host}, moderation.Order{Action: moderation.End})
		}
	}
}

func TestAudit(t *testing.T) {
	sink := &auditSink{}
	h := newHost(t, Config{Audit: sink}, settings.Room{})
	r := h.Rooms()[0]
	mod, _ := joinAs(t, r, "mod", moderation.Moderator)
	a, _ := join(t, r, Caller{Name: "Ann", Identity: "web:a", Door: "sip"})
	must(t, mod, moderation.Order{Action: moderation.Mute, Target: a.ID(), On: true})
	mustNot(t, a, moderation.Order{Action: moderation.Mute, Target: mod.ID(), On: true}, "")
	mustNot(t, a, moderation.Order{Action: moderation.Action(strings.Repeat("x", 9999)), Text: strings.Repeat("y", 9999)}, "")
	if sink.synced != 3 {
		t.Errorf("of 3 orders that were answered, %d are on the disk", sink.synced)
	}
	must(t, a, moderation.Order{Action: moderation.VoiceActivity, On: true})
	log := r.Audit(0)
	if len(log) != 3 || len(sink.entries) != 3 {
		t.Fatalf("audit has %d entries, the sink %d", len(log), len(sink.entries))
	}
	if e := log[0]; e.Room != "main" || e.Actor != mod.ID() || e.Name != "mod" || e.Identity != "web:mod" || e.Door != "web" || e.Role != "moderator" ||
		e.Target != a.ID() || e.TargetName != "Ann" || e.TargetIdentity != "web:a" || e.Order.Action != "mute" || !e.Order.On ||
		e.Result != "done" || e.Reason != "" || e.Time.IsZero() {
		t.Errorf("%+v", e)
	}
	if e := log[1]; e.Actor != a.ID() || e.Door != "sip" || e.Result != "refused" || e.Reason != "Your role (speaker) does not allow this." {
		t.Errorf("%+v", e)
	}
	if e := log[2]; len(e.Order.Action) > 40 || len(e.Order.Text) > 0 || e.Result != "refused" {
		t.Errorf("%+v", e)
	}
	if got := r.Audit(1); len(got) != 1 || got[0].Order.Action != log[2].Order.Action {
		t.Errorf("the newest is %+v", got)
	}
}

// hands are the ids of those who have raised a hand, the first who did so first.
func hands(i *Info) []string {
	var up []Participant
	for _, p := range i.Participants {
		if p.Hand != nil {
			up = append(up, p)
		}
	}
	slices.SortStableFunc(up, func(a, b Participant) int { return a.Hand.Compare(*b.Hand) })
	ids := make([]string, len(up))
	for n, p := range up {
		ids[n] = p.ID
	}
	return ids
}
