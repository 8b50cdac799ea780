package e2e

import (
	"context"
	"slices"
	"testing"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/internal/eventually"
	"rendezvous/internal/lab/phone"
	"rendezvous/internal/prompts"
	"rendezvous/internal/sound"
	"rendezvous/signalling/sip"
	"rendezvous/signalling/sip/siptest"
)

// A caller who dialled no room is led there by the menu, with keys as RTP events and as INFO.
func TestMenuLeadsToRoom(t *testing.T) {
	for _, test := range []struct {
		name string
		info bool
		keys []string // each typed after a prompt
		room string
	}{
		{"number, RTP events", false, []string{"42#"}, "42"},
		{"spelt name, INFO", true, []string{"3366#"}, "demo"},
		{"wrong number first", false, []string{"777#", "42#"}, "42"},
		{"room and PIN", true, []string{"732738#", "1234#"}, "secret"},
		{"room, wrong PIN, PIN", true, []string{"732738#", "99#", "1234#"}, "secret"},
		{"star begins again", true, []string{"9*42#"}, "42"},
		{"a pause instead of the hash", true, []string{"42"}, "42"},
		{"number given while the host runs", true, []string{"4711#"}, "booked"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := siptest.Open(t, func(c *sip.Config) { c.KeyTimeout = 2 * time.Second })
			if _, err := b.Host.Create(settingstest.Room(settings.Room{ID: "booked"})); err != nil {
				t.Fatal(err)
			}
			number := func(r settings.Room) (settings.Room, error) { r.Number = "4711"; return r, nil }
			if _, err := b.Host.Change("booked", number); err != nil {
				t.Fatal(err)
			}
			p := newPhone(t, phone.Config{User: "alice", DTMFInfo: test.info, Codecs: []string{"PCMU/8000/1"}})
			ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
			defer cancel()
			if err := p.Dial(ctx, uri(b, "conference", "udp")); err != nil {
				t.Fatal(err)
			}
			for _, keys := range test.keys {
				select {
				case <-time.After(700 * time.Millisecond): // a person listens first
				case <-ctx.Done():
				}
				if err := p.Press(ctx, keys); err != nil {
					t.Fatal(err)
				}
			}
			eventually.True(t, "in the room", func() bool { return slices.Contains(b.Participants(t, test.room), "alice") })
		})
	}
}

// Three wrong rooms, and three wrong PINs, end the call.
func TestMenuGivesUp(t *testing.T) {
	for _, test := range []struct{ name, user, keys string }{
		{"rooms", "conference", "777#"},
		{"PINs", "secret", "99#"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := siptest.Open(t, nil)
			p := newPhone(t, phone.Config{DTMFInfo: true})
			ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
			defer cancel()
			mark := p.Mark()
			if err := p.Dial(ctx, uri(b, test.user, "tcp")); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				time.Sleep(500 * time.Millisecond) // a person listens first
				if err := p.Press(ctx, test.keys); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := p.Wait(ctx, mark, "CALL_CLOSED"); err != nil {
				t.Fatal(err)
			}
			if got := b.Participants(t, "secret"); len(got) != 0 {
				t.Errorf("in the room without a PIN: %v", got)
			}
		})
	}
}

// The keys of a caller in a room.
func TestKeysInRoom(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, nil)
	ordinary := newPhone(t, phone.Config{User: "alice", DTMFInfo: true})
	leader := newPhone(t, phone.Config{User: "lea"})
	ctx, cancel := context.WithTimeout(t.Context(), 2*siptest.Deadline)
	defer cancel()
	if err := ordinary.Dial(ctx, uri(b, "secret*1234", "udp")); err != nil {
		t.Fatal(err)
	}
	if err := leader.Dial(ctx, uri(b, "secret*9876", "udp")); err != nil {
		t.Fatal(err)
	}
	room, _ := b.Host.Room("secret")
	find := func(name string) (selfMuted, muted, hand bool) {
		for _, p := range room.Info().Participants {
			if p.Name == name {
				return p.SelfMuted, p.Muted, p.Hand != nil
			}
		}
		return
	}
	eventually.True(t, "both in the room", func() bool { return len(b.Participants(t, "secret")) == 2 })
	press := func(p *phone.Phone, keys string) {
		if err := p.Press(ctx, keys); err != nil {
			t.Fatal(err)
		}
	}
	press(ordinary, "*6")
	eventually.True(t, "muted themselves", func() bool { m, _, _ := find("alice"); return m })
	press(ordinary, "*6")
	eventually.True(t, "unmuted themselves", func() bool { m, _, _ := find("alice"); return !m })
	press(ordinary, "*9")
	eventually.True(t, "hand raised", func() bool { _, _, h := find("alice"); return h })
	press(ordinary, "*9")
	eventually.True(t, "hand lowered", func() bool { _, _, h := find("alice"); return !h })
	press(leader, "*5")
	eventually.True(t, "all muted", func() bool { _, m, _ := find("alice"); return m })
	press(leader, "*7")
	eventually.True(t, "locked", func() bool { return room.Info().Locked })
	press(ordinary, "*7") // not theirs to do
	press(leader, "*7")
	eventually.True(t, "open again", func() bool { return !room.Info().Locked })
}

// What the menu says is what the telephone hears, in wide and narrow band.
func TestMenuIsHeard(t *testing.T) {
	for _, codec := range []string{"opus/48000/2", "G722/16000/1", "PCMA/8000/1"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			b := siptest.Open(t, nil)
			p := newPhone(t, phone.Config{Codecs: []string{codec}})
			ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
			defer cancel()
			if err := p.Dial(ctx, uri(b, "conference", "udp")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second) // Welcome. Please enter the room number …
			if err := p.Hangup(); err != nil {
				t.Fatal(err)
			}
			eventually.True(t, "call over", func() bool { return b.Count(t, "rendezvous_sip_calls") == 0 })
			pcm := heard(t, p)
			if got := sound.Likeness(pcm, b.Prompts.Say(prompts.EnterRoom)); got < 0.7 {
				t.Errorf("likeness of what was heard and what was said is %.2f", got)
			}
			if got := sound.Likeness(pcm, b.Prompts.Say(prompts.RecordingFailed)); got > 0.4 {
				t.Errorf("likeness with something else is %.2f", got)
			}
		})
	}
}

// Those in the room hear a tone when somebody comes and another when somebody leaves.
func TestComingsAndGoingsAreHeard(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, nil)
	ear := newPhone(t, phone.Config{User: "ear", Codecs: []string{"opus/48000/2"}})
	guest := newPhone(t, phone.Config{User: "guest"})
	ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
	defer cancel()
	if err := ear.Dial(ctx, uri(b, "demo", "udp")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // You are the first one here.
	if err := guest.Dial(ctx, uri(b, "demo", "udp")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	if err := guest.Hangup(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	if err := ear.Hangup(); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "calls over", func() bool { return b.Count(t, "rendezvous_sip_calls") == 0 })
	pcm := heard(t, ear)
	for name, said := range map[string][]int16{
		"first": b.Prompts.Say(prompts.First), "entry": prompts.Entry(), "exit": prompts.Exit(),
	} {
		if got := sound.Likeness(pcm, said); got < 0.7 {
			t.Errorf("%s was not heard: likeness %.2f", name, got)
		}
	}
}

// A caller waits in the lobby until a moderator lets them in, and is told so.
func TestLobby(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, nil)
	guest := newPhone(t, phone.Config{User: "guest", Codecs: []string{"opus/48000/2"}})
	leader := newPhone(t, phone.Config{User: "lea"})
	ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
	defer cancel()
	if err := leader.Dial(ctx, uri(b, "lobby*5555", "udp")); err != nil {
		t.Fatal(err)
	}
	if err := guest.Dial(ctx, uri(b, "lobby", "udp")); err != nil {
		t.Fatal(err)
	}
	room := b.Room(t, "lobby")
	waiting := func() (n int) {
		for _, p := range room.Info().Participants {
			if p.Waiting {
				n++
			}
		}
		return n
	}
	eventually.True(t, "one waits", func() bool { return waiting() == 1 })
	time.Sleep(3 * time.Second) // Please wait until a moderator lets you in.
	if err := leader.Press(ctx, "*4"); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "nobody waits", func() bool { return waiting() == 0 && len(b.Participants(t, "lobby")) == 2 })
	time.Sleep(2 * time.Second) // There is one other person here.
	if err := guest.Hangup(); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the guest has left", func() bool { return len(b.Participants(t, "lobby")) == 1 })
	pcm := heard(t, guest)
	for _, p := range []prompts.Prompt{prompts.Lobby, prompts.OneOther} {
		if got := sound.Likeness(pcm, b.Prompts.Say(p)); got < 0.7 {
			t.Errorf("%s was not heard: likeness %.2f", p, got)
		}
	}
}

// A room that is locked, or not open any more, says so and hangs up.
func TestLockedRoomIsTold(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, nil)
	past := settings.Moment(time.Now().Add(-time.Minute))
	if _, err := b.Host.Create(settingstest.Room(settings.Room{ID: "past", Until: past})); err != nil {
		t.Fatal(err)
	}
	late := newPhone(t, phone.Config{User: "late", Codecs: []string{"opus/48000/2"}})
	leader := newPhone(t, phone.Config{User: "lea"})
	ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
	defer cancel()
	if err := leader.Dial(ctx, uri(b, "secret*9876", "udp")); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "leader in the room", func() bool { return len(b.Participants(t, "secret")) == 1 })
	if err := leader.Press(ctx, "*7"); err != nil {
		t.Fatal(err)
	}
	room := b.Room(t, "secret")
	eventually.True(t, "locked", func() bool { return room.Info().Locked })
	later := newPhone(t, phone.Config{User: "later", Codecs: []string{"opus/48000/2"}})
	for _, call := range []struct {
		p    *phone.Phone
		room string
		said prompts.Prompt
	}{{late, "secret*1234", prompts.Locked}, {later, "past", prompts.Closed}} {
		mark := call.p.Mark()
		if err := call.p.Dial(ctx, uri(b, call.room, "udp")); err != nil {
			t.Fatal(err)
		}
		if _, err := call.p.Wait(ctx, mark, "CALL_CLOSED"); err != nil {
			t.Fatal(err)
		}
		if got := sound.Likeness(heard(t, call.p), b.Prompts.Say(call.said)); got < 0.7 {
			t.Errorf("%s: the reason was not heard: likeness %.2f", call.room, got)
		}
	}
}
