package conference

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

func TestRoles(t *testing.T) {
	grant := func(r moderation.Role) *moderation.Role { return &r }
	h := newHost(t, Config{Aliases: map[string]string{"sip:chief@example.org": "web:chief"}},
		settings.Room{ID: "open"},
		settings.Room{ID: "pin", PIN: "1234", ModeratorPIN: "9876", Roles: settings.Roles{
			Default: moderation.Listener, Host: []string{"web:chief"}, Moderator: []string{"web:mod"}, Observer: []string{"web:quiet"},
		}})
	for _, c := range []struct {
		name string
		room string
		c    Caller
		want moderation.Role
		code RefusalCode
	}{
		{"anybody", "open", Caller{}, moderation.Speaker, ""},
		{"a PIN that is not asked for", "open", Caller{PIN: "1"}, moderation.Speaker, ""},
		{"an observer", "open", Caller{Observer: true}, moderation.Observer, ""},
		{"a credential", "open", Caller{Proven: true, Grant: grant(moderation.Moderator)}, moderation.Moderator, ""},
		{"a credential without proof", "open", Caller{Grant: grant(moderation.Moderator)}, moderation.Speaker, ""},
		{"a credential that gives less", "open", Caller{Proven: true, Grant: grant(moderation.Listener)}, moderation.Listener, ""},
		{"no PIN", "pin", Caller{}, 0, RefusedPIN},
		{"wrong PIN", "pin", Caller{PIN: "123"}, 0, RefusedPIN},
		{"a PIN with more", "pin", Caller{PIN: "12345"}, 0, RefusedPIN},
		{"the PIN", "pin", Caller{PIN: "1234"}, moderation.Listener, ""},
		{"the moderators' PIN", "pin", Caller{PIN: "9876"}, moderation.Moderator, ""},
		{"an observer with the moderators' PIN", "pin", Caller{PIN: "9876", Observer: true}, moderation.Observer, ""},
		{"listed", "pin", Caller{Identity: "web:mod", Proven: true}, moderation.Moderator, ""},
		{"listed without proof", "pin", Caller{Identity: "web:mod"}, 0, RefusedPIN},
		{"listed without proof, with PIN", "pin", Caller{Identity: "web:mod", PIN: "1234"}, moderation.Listener, ""},
		{"listed, with the moderators' PIN", "pin", Caller{Identity: "web:chief", Proven: true, PIN: "9876"}, moderation.Host, ""},
		{"listed as observer", "pin", Caller{Identity: "web:quiet", Proven: true}, moderation.Observer, ""},
		{"listed under another address", "pin", Caller{Door: "sip", Identity: "sip:chief@example.org", Proven: true}, moderation.Host, ""},
		{"a credential instead of the PIN", "pin", Caller{Proven: true, Grant: grant(moderation.Speaker)}, moderation.Speaker, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := h.Room(c.room)
			if err != nil {
				t.Fatal(err)
			}
			m, _, err := admit(r, c.c)
			if c.code != "" {
				refused(t, err, c.code)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := see(t, r, m.ID()).Role; got != c.want {
				t.Errorf("is %v, want %v", got, c.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r, _ := h.Room("open")
	e := newEar()
	defer e.leg.Close()
	if _, err := r.Join(ctx, Caller{}, e.leg, e); err == nil {
		t.Error("joined although the caller had given up")
	}
}

func TestWrongPINsSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, Config{}, settings.Room{PIN: "1234", ModeratorPIN: "987654"})
		defer h.Close()
		r := h.Rooms()[0]
		try := func(source, identity, pin string) error {
			m, _, err := admit(r, Caller{Source: source, Identity: identity, PIN: pin})
			if err == nil {
				m.Leave(EndLeft)
			}
			return err
		}
		text := func(err error) string {
			if err == nil {
				return "in"
			}
			return err.Error()
		}
		expect := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		for i := range 3 {
			expect("first tries", text(try("192.0.2.1", fmt.Sprint("web:", i), "0000")), "The PIN is wrong.")
		}
		expect("too soon, though right", text(try("192.0.2.1", "web:x", "1234")), "Too many wrong PINs. Try again in 1 seconds.")
		expect("from elsewhere", text(try("192.0.2.2", "web:y", "1234")), "in")
		time.Sleep(time.Second)
		expect("after the wait", text(try("192.0.2.1", "web:x", "1234")), "in")
		expect("and wrong again", text(try("192.0.2.1", "web:x", "0000")), "The PIN is wrong.")
		expect("the wait has doubled", text(try("192.0.2.1", "web:x", "1234")), "Too many wrong PINs. Try again in 2 seconds.")
		expect("no PIN is no try", text(try("192.0.2.1", "web:x", "")), "This room needs a PIN.")
		for range 40 {
			time.Sleep(longestWait)
			try("192.0.2.1", "web:x", "0000")
		}
		expect("the longest wait", text(try("192.0.2.1", "web:x", "1234")), "Too many wrong PINs. Try again in 15 minutes.")
		time.Sleep(forgetAfter)
		expect("forgotten", text(try("192.0.2.1", "web:x", "1234")), "in")

		// Of an IPv6 network all addresses count as one.
		for i := range 3 {
			try(fmt.Sprint("2001:db8:ffff::", i+1), fmt.Sprint("web:v", i), "0000")
		}
		expect("same network", text(try("2001:db8:ffff::9", "web:v9", "1234")), "Too many wrong PINs. Try again in 1 seconds.")
		time.Sleep(time.Minute)

		// Whoever has ever new addresses meets the room's own limit.
		for i := range roomTries {
			expect("new addresses", text(try(fmt.Sprintf("2001:db8:%x::1", i), fmt.Sprint("web:n", i), "0000")), "The PIN is wrong.")
		}
		expect("the room's limit", text(try("192.0.2.1", "web:new", "0000")), "Too many wrong PINs. Try again in 60 seconds.")
		_, e, err := admit(r, proven("listed", moderation.Speaker))
		if err != nil {
			t.Errorf("who needs no PIN: %v", err)
		}
		time.Sleep(time.Minute)
		expect("a minute later", text(try("192.0.2.9", "web:new", "1234")), "in")
		h.Close()
		e.waitEnded(t, EndShutdown)
	})
}

func TestPINGuardIsBounded(t *testing.T) {
	g := newPINGuard()
	now := time.Now()
	const guesses = guardedKeys + 500
	for i := range guesses {
		g.wrong(now.Add(time.Duration(i)), fmt.Sprint(i))
	}
	if len(g.tries) > guardedKeys {
		t.Errorf("%d keys are kept", len(g.tries))
	}
	if g.tries[fmt.Sprint(guesses-1)] == nil {
		t.Error("the newest was forgotten")
	}
}

func TestLockAndLimits(t *testing.T) {
	h := newHost(t, Config{MaxParticipants: 5}, settings.Room{ModeratorPIN: "9876"}, settings.Room{ID: "other"})
	r, _ := h.Room("main")
	mod, _ := joinAs(t, r, "mod", moderation.Moderator)
	must(t, mod, moderation.Order{Action: moderation.Lock, On: true})
	_, _, err := admit(r, Caller{})
	refused(t, err, RefusedLocked)
	second, _, err := admit(r, Caller{PIN: "9876"})
	if err != nil {
		t.Fatalf("a locked room keeps moderators out: %v", err)
	}
	must(t, second, moderation.Order{Action: moderation.Lock})
	must(t, mod, moderation.Order{Action: moderation.Limits, N: 3})
	join(t, r, Caller{})
	_, _, err = admit(r, Caller{PIN: "9876"})
	refused(t, err, RefusedFull)
	if r.Info().Max != 3 {
		t.Errorf("shown as %d", r.Info().Max)
	}
	other, _ := h.Room("other")
	join(t, other, Caller{})
	join(t, other, Caller{})
	_, _, err = admit(other, Caller{})
	refused(t, err, RefusedFull) // the host's own limit
}

func TestLobby(t *testing.T) {
	h := newHost(t, Config{}, settings.Room{Lobby: true, Roles: settings.Roles{Speaker: []string{"web:friend"}}})
	r := h.Rooms()[0]
	mod, emod := joinAs(t, r, "mod", moderation.Moderator)
	friend, _ := join(t, r, Caller{Name: "friend", Identity: "web:friend", Proven: true})
	a, ea := join(t, r, Caller{Name: "Ann", Identity: "web:a"})
	b, eb := join(t, r, Caller{Name: "Bob"})
	_, ec := join(t, r, Caller{Name: "Cy"})
	if see(t, r, friend.ID()).Waiting || !see(t, r, a.ID()).Waiting {
		t.Fatal("the wrong ones wait")
	}
	ea.waitNotice(t, NoticeLobby)
	if n := emod.waitNotice(t, NoticeKnock); n.Text != "Ann" {
		t.Errorf("%q knocks", n.Text)
	}
	must(t, mod, moderation.Order{Action: moderation.Chat, Text: "secret"})
	must(t, mod, moderation.Order{Action: moderation.Announce, Text: "also secret"})
	mustNot(t, a, moderation.Order{Action: moderation.Chat, Text: "let me in"}, "You are in the lobby.")
	mustNot(t, friend, moderation.Order{Action: moderation.Admit, Target: a.ID()}, "Your role (speaker) does not allow this.")
	info := ea.waitInfo(t, "themselves", func(i *Info) bool { return len(i.Participants) == 1 })
	if info.Participants[0].ID != a.ID() || !info.Lobby || info.Began != nil {
		t.Errorf("sees %+v", info)
	}
	if _, inMix := r.mix.Activity()[a.ID()]; inMix {
		t.Error("who waits is in the mix")
	}
	if _, inFoyer := h.foyer.Activity()[a.ID()]; !inFoyer {
		t.Error("who waits hears no prompts")
	}

	ea.mu.Lock()
	for _, i := range ea.infos {
		if len(i.Participants) != 1 {
			t.Error("saw the meeting from the lobby")
		}
	}
	if len(ea.chats) > 0 || len(ea.notices) != 1 {
		t.Errorf("heard %v and %v in the lobby", ea.chats, ea.notices)
	}
	ea.mu.Unlock()

	must(t, mod, moderation.Order{Action: moderation.Admit, Target: a.ID()})
	ea.wait(t, "admitted", func() bool { return ea.admitted == 1 })
	ea.waitInfo(t, "all", func(i *Info) bool { return len(i.Participants) == 5 })
	if _, inMix := r.mix.Activity()[a.ID()]; !inMix {
		t.Error("who was admitted is not in the mix")
	}
	must(t, mod, moderation.Order{Action: moderation.Deny, Target: b.ID()})
	eb.waitEnded(t, EndDenied)
	if eb.admitted != 0 {
		t.Error("who was denied had been admitted")
	}
	mustNot(t, mod, moderation.Order{Action: moderation.Admit, Target: b.ID()}, "The participant has left.")
	must(t, mod, moderation.Order{Action: moderation.AdmitAll})
	ec.wait(t, "admitted", func() bool { return ec.admitted == 1 })

	// Off lets in who waits.
	d, ed := join(t, r, Caller{Name: "Di"})
	must(t, mod, moderation.Order{Action: moderation.Lobby})
	ed.wait(t, "admitted", func() bool { return ed.admitted == 1 })
	if see(t, r, d.ID()).Waiting {
		t.Error("still waits")
	}
	// A moderator made of somebody who waits comes in.
	must(t, mod, moderation.Order{Action: moderation.Lobby, On: true})
	f, ef := join(t, r, Caller{Name: "Fay"})
	must(t, mod, moderation.Order{Action: moderation.SetRole, Target: f.ID(), Text: "moderator"})
	ef.wait(t, "admitted", func() bool { return ef.admitted == 1 })
}

func TestRemovedWaits(t *testing.T) {
	r := newRoomOf(t, settings.Room{})
	mod, _ := joinAs(t, r, "mod", moderation.Moderator)
	a, ea := join(t, r, Caller{Name: "Ann", Identity: "web:a"})
	must(t, mod, moderation.Order{Action: moderation.Remove, Target: a.ID(), Text: "Enough."})
	if n := ea.waitNotice(t, NoticeEnding); n.Text != "Enough." {
		t.Errorf("told %q", n.Text)
	}
	ea.waitEnded(t, EndRemoved)
	b, eb := join(t, r, Caller{Name: "Somebody else", Identity: "web:a"})
	if !see(t, r, b.ID()).Waiting {
		t.Fatal("who was removed came back")
	}
	must(t, mod, moderation.Order{Action: moderation.Lobby}) // it was not the lobby that keeps them
	if !see(t, r, b.ID()).Waiting {
		t.Fatal("who was removed came back when the lobby was turned off")
	}
	must(t, mod, moderation.Order{Action: moderation.Admit, Target: b.ID()})
	eb.wait(t, "admitted", func() bool { return eb.admitted == 1 })
	b.Leave(EndLeft)
	c, _ := join(t, r, Caller{Identity: "web:a"})
	if see(t, r, c.ID()).Waiting {
		t.Error("forgiven, but waits again")
	}
}

// A browser that was banned does not come back with another cookie: newcomers from its network wait, until the
// meeting ends or the ban is lifted. Nobody else does.
func TestBanByNetwork(t *testing.T) {
	r := newRoomOf(t, settings.Room{Roles: settings.Roles{Speaker: []string{"web:known"}}, ModeratorPIN: "9999"})
	mod, _ := joinAs(t, r, "mod", moderation.Moderator)
	browser := func(identity, source string) Caller {
		return Caller{Name: identity, Identity: "web:" + identity, Proven: true, Disposable: true, Source: source}
	}
	join(t, r, browser("neighbour", "192.0.2.7"))
	eve, ended := join(t, r, browser("eve", "192.0.2.7"))
	eve6, ended6 := join(t, r, browser("eve6", "2001:db8::1:2"))
	ban := moderation.Order{Action: moderation.Ban, Target: eve.ID(), On: true}
	must(t, mod, ban)
	ended.waitEnded(t, EndBanned)
	eve6.Leave(EndLeft)
	ended6.waitEnded(t, EndLeft)
	must(t, mod, moderation.Order{Action: moderation.Ban, Target: eve6.ID(), On: true})
	if n := len(r.Info().Participants); n != 2 {
		t.Errorf("%d are here, want the moderator and the neighbour", n)
	}
	leader := browser("leader", "192.0.2.7")
	leader.PIN = "9999"
	phone := Caller{Door: "sip", Identity: "sip:eve@example.org", Source: "192.0.2.7"}
	for _, test := range []struct {
		c     Caller
		waits bool
	}{
		{browser("eve2", "192.0.2.7"), true}, {browser("far", "192.0.2.8"), false}, {browser("eve7", "2001:db8::9"), true},
		{browser("far6", "2001:db8:0:1::9"), false}, {browser("known", "192.0.2.7"), false}, {leader, false}, {phone, false}, {browser("nowhere", ""), false},
	} {
		m, _ := join(t, r, test.c)
		if got := see(t, r, m.ID()).Waiting; got != test.waits {
			t.Errorf("%s from %s waits: %v", test.c.Identity, test.c.Source, got)
		}
		m.Leave(EndLeft)
	}
	ban.On = false
	must(t, mod, ban)
	if m, _ := join(t, r, browser("eve3", "192.0.2.7")); see(t, r, m.ID()).Waiting {
		t.Error("the ban is lifted, and its network waits")
	}
	must(t, mod, moderation.Order{Action: moderation.End})
	if m, _ := join(t, r, browser("eve8", "2001:db8::9")); see(t, r, m.ID()).Waiting {
		t.Error("the meeting is over, and the network waits")
	}
}

// A door asks before it answers; nobody suffers for what was done in their name.
func TestBanned(t *testing.T) {
	r := newRoomOf(t, settings.Room{})
	mod, _ := joinAs(t, r, "mod", moderation.Moderator)
	boss := Caller{Door: "sip", Identity: "sip:boss@example.org"}
	fake, ended := join(t, r, boss)
	must(t, mod, moderation.Order{Action: moderation.Ban, Target: fake.ID(), On: true})
	ended.waitEnded(t, EndBanned)
	if !r.Banned(boss) {
		t.Error("not banned")
	}
	boss.Proven = true
	if r.Banned(boss) {
		t.Error("the proven owner is banned")
	}
}

func TestBan(t *testing.T) {
	store := &memoryStore{}
	aliases := map[string]string{"sip:ann@example.org": "jami:ann", "web:ann": "jami:ann"}
	rooms := []settings.Room{{Roles: settings.Roles{Host: []string{"web:chief"}}}, {ID: "other"}}
	h := newHost(t, Config{Store: store, Aliases: aliases}, rooms...)
	r, _ := h.Room("main")
	other, _ := h.Room("other")
	mod, _ := joinAs(t, r, "mod", moderation.Moderator)
	_, e1 := join(t, r, Caller{Door: "jami", Name: "Ann", Identity: "jami:ann", Proven: true, Device: "d1"})
	phone, e2 := join(t, r, Caller{Door: "sip", Name: "Phone", Identity: "sip:ann@example.org", Proven: true})
	must(t, mod, moderation.Order{Action: moderation.Ban, Target: phone.ID(), On: true, Text: "forever"})
	e1.waitEnded(t, EndBanned)
	e2.waitEnded(t, EndBanned)
	for _, c := range []Caller{
		{Door: "jami", Name: "Other name", Identity: "jami:ann", Proven: true, Device: "d2"},
		{Door: "sip", Identity: "sip:ann@example.org", Proven: true},
		{Door: "web", Identity: "web:ann", Proven: true},
		{Door: "web", Identity: "web:ann"}, // not proven: banned all the same
	} {
		_, _, err := admit(r, c)
		refused(t, err, RefusedBanned)
	}
	join(t, other, Caller{Identity: "jami:ann"}) // a ban is the room's
	if len(store.bans) != 1 || store.bans[0].Identity != "jami:ann" || store.bans[0].By != "mod" || !store.bans[0].Forever {
		t.Errorf("kept %+v", store.bans)
	}

	// Somebody who has just left, until the meeting ends.
	bob, ebob := join(t, r, Caller{Name: "Bob", Identity: "web:bob"})
	bob.Leave(EndLeft)
	ebob.waitEnded(t, EndLeft)
	must(t, mod, moderation.Order{Action: moderation.Ban, Target: bob.ID(), On: true})
	_, _, err := admit(r, Caller{Identity: "web:bob"})
	refused(t, err, RefusedBanned)
	join(t, r, Caller{Identity: "web:bob", Proven: true}) // it was another in their name
	// An identity nobody here had; a mistyped id; a host; oneself; nobody.
	must(t, mod, moderation.Order{Action: moderation.Ban, Target: "sip:spam@example.org", On: true})
	_, _, err = admit(r, Caller{Identity: "sip:spam@example.org"})
	refused(t, err, RefusedBanned)
	mustNot(t, mod, moderation.Order{Action: moderation.Ban, Target: "p4x", On: true}, "The participant is not in this meeting.")
	mustNot(t, mod, moderation.Order{Action: moderation.Ban, Target: "web:chief", On: true}, "You cannot do this to a host.")
	mustNot(t, mod, moderation.Order{Action: moderation.Ban, Target: "web:mod", On: true}, "You cannot do this to yourself.")
	mustNot(t, mod, moderation.Order{Action: moderation.Ban, Target: "sip:nobody@example.org"}, "There is no such ban.")
	must(t, mod, moderation.Order{Action: moderation.Ban, Target: "sip:spam@example.org"})
	join(t, r, Caller{Identity: "sip:spam@example.org"})
	// The host does not suffer for who pretends to be them.
	chief, echief := join(t, r, Caller{Name: "chief", Identity: "web:chief", Proven: true})
	fake, efake := join(t, r, Caller{Name: "fake", Identity: "web:chief"})
	must(t, mod, moderation.Order{Action: moderation.Ban, Target: fake.ID(), On: true})
	efake.waitEnded(t, EndBanned)
	_, _, err = admit(r, Caller{Identity: "web:chief"})
	refused(t, err, RefusedBanned)
	if echief.outcomeNow() != "" {
		t.Error("the host was put out")
	}
	chief.Leave(EndLeft)
	chief, _ = join(t, r, Caller{Name: "chief", Identity: "web:chief", Proven: true})
	mustNot(t, mod, moderation.Order{Action: moderation.Ban, Target: chief.ID(), On: true}, "You cannot do this to a host.")
	must(t, chief, moderation.Order{Action: moderation.Ban, Target: "web:chief"}) // lifts the other's
	// The highest role of all an identity's presences decides.
	twin := Caller{Name: "twin", Identity: "web:twin", Proven: true, Grant: new(moderation.Role)}
	*twin.Grant = moderation.Host
	_, etwin := join(t, r, twin)
	*twin.Grant = moderation.Speaker
	low, _ := join(t, r, twin)
	mustNot(t, mod, moderation.Order{Action: moderation.Ban, Target: low.ID(), On: true}, "You cannot do this to a host.")
	if etwin.outcomeNow() != "" {
		t.Error("the host was put out")
	}
	// A caller without any identity is only put out, and the audit says so.
	_, enobody := join(t, r, Caller{Name: "Nobody"})
	p, _ := r.Info().Find("Nobody")
	must(t, mod, moderation.Order{Action: moderation.Ban, Target: p.ID, On: true})
	enobody.waitEnded(t, EndBanned)
	if last := r.Audit(1)[0]; last.Result != "done" || last.Reason != "removed only: the caller has no identity" {
		t.Errorf("audit: %+v", last)
	}

	must(t, mod, moderation.Order{Action: moderation.End})
	join(t, r, Caller{Identity: "web:bob"})
	_, _, err = admit(r, Caller{Identity: "jami:ann"})
	refused(t, err, RefusedBanned)
	h.Close()

	// After a restart the ban for good is still there; an operator lifts it.
	h = newHost(t, Config{Store: store, Aliases: aliases}, rooms...)
	r, _ = h.Room("main")
	_, _, err = admit(r, Caller{Identity: "web:ann"})
	refused(t, err, RefusedBanned)
	admin := Operator{Name: "admin", Door: "cli", Role: moderation.Host}
	if err := r.Order(admin, moderation.Order{Action: moderation.Ban, Target: "web:ann"}); err != nil {
		t.Fatal(err)
	}
	join(t, r, Caller{Identity: "web:ann"})
	if len(store.bans) != 0 {
		t.Errorf("kept %+v", store.bans)
	}
}

func TestMutedStaysMutedOverReconnects(t *testing.T) {
	r := newRoomOf(t, settings.Room{})
	mod, _ := joinAs(t, r, "mod", moderation.Moderator)
	a, ea := join(t, r, Caller{Identity: "web:a"})
	must(t, mod, moderation.Order{Action: moderation.Mute, Target: a.ID(), On: true})
	a.Leave(EndLeft)
	ea.waitEnded(t, EndLeft)
	again, e := join(t, r, Caller{Identity: "web:a"})
	if !see(t, r, again.ID()).Muted {
		t.Error("unmuted themselves by calling again")
	}
	e.waitNotice(t, NoticeMuted)
	must(t, mod, moderation.Order{Action: moderation.SelfUnmute, On: true})
	third, _ := join(t, r, Caller{Identity: "web:a"})
	if see(t, r, third.ID()).Muted {
		t.Error("muted although they may unmute themselves")
	}
}

// Guesses from everywhere do not close a room to those who know its PIN, neither for a minute nor for a day.
func TestGuessedPINs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, Config{}, settings.Room{PIN: "271828", ModeratorPIN: "31415926"})
		defer h.Close()
		r := h.Rooms()[0]
		try := func(source, pin string) string {
			r.mu.Lock()
			defer r.mu.Unlock()
			if _, refusal := r.checkPIN(Caller{Source: source, PIN: pin}, time.Now()); refusal != nil {
				return refusal.Error()
			}
			return "in"
		}
		guess := func(n int, pin string) (evaluated int) { // n guesses, from twenty addresses in their turn
			for i := range n {
				if try(fmt.Sprintf("192.0.2.%d", 100+i%20), pin) == "The PIN is wrong." {
					evaluated++
				}
			}
			return evaluated
		}
		try("192.0.2.50", "000000") // a typing error
		if n := guess(500, "000000"); n != roomTries-1 {
			t.Errorf("%d guesses in a minute", n)
		}
		if got := try("192.0.2.1", "271828"); got != "in" {
			t.Errorf("from where no guess has come: %s", got)
		}
		if got := try("192.0.2.50", "31415926"); got != "in" {
			t.Errorf("a moderator, from among the guessers: %s", got)
		}
		if got := try("192.0.2.50", "271828"); got != "Too many wrong PINs. Try again in 60 seconds." {
			t.Errorf("a guest, from among the guessers: %s", got)
		}
		day := func(pin string) {
			total := 0
			for range 24 * 60 {
				time.Sleep(time.Minute)
				total += guess(100, pin)
			}
			if total > roomTriesADay+roomTries+20 {
				t.Errorf("%d guesses as %s in a day", total, pin)
			}
		}
		day("000000")
		if got := try("192.0.2.1", "271828"); got != "in" {
			t.Errorf("at the end of the day, from where no guess has come: %s", got)
		}
		day("00000000") // nor at the moderators' PIN, which is as long
	})
}
