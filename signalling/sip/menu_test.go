package sip

import (
	"context"
	"slices"
	"testing"
	"time"

	"rendezvous/internal/lab/phone"
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
	} {
		t.Run(test.name, func(t *testing.T) {
			b := open(t, func(c *Config) { c.KeyTimeout = 2 * time.Second })
			p := newPhone(t, phone.Config{User: "alice", DTMFInfo: test.info, Codecs: []string{"PCMU/8000/1"}})
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			if err := p.Dial(ctx, b.uri("conference", "udp")); err != nil {
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
			eventually(t, "in the room", func() bool { return slices.Contains(b.participants(t, test.room), "alice") })
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
			b := open(t, nil)
			p := newPhone(t, phone.Config{DTMFInfo: true})
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			mark := p.Mark()
			if err := p.Dial(ctx, b.uri(test.user, "tcp")); err != nil {
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
			if got := b.participants(t, "secret"); len(got) != 0 {
				t.Errorf("in the room without a PIN: %v", got)
			}
		})
	}
}

// The keys of a caller in a room.
func TestKeysInRoom(t *testing.T) {
	b := open(t, nil)
	ordinary := newPhone(t, phone.Config{User: "alice", DTMFInfo: true})
	leader := newPhone(t, phone.Config{User: "lea"})
	ctx, cancel := context.WithTimeout(t.Context(), 2*deadline)
	defer cancel()
	if err := ordinary.Dial(ctx, b.uri("secret*1234", "udp")); err != nil {
		t.Fatal(err)
	}
	if err := leader.Dial(ctx, b.uri("secret*9876", "udp")); err != nil {
		t.Fatal(err)
	}
	room, _ := b.host.Room("secret")
	find := func(name string) (selfMuted, muted, hand bool) {
		for _, p := range room.Info().Participants {
			if p.Name == name {
				return p.SelfMuted, p.Muted, p.Hand != nil
			}
		}
		return
	}
	eventually(t, "both in the room", func() bool { return len(b.participants(t, "secret")) == 2 })
	press := func(p *phone.Phone, keys string) {
		if err := p.Press(ctx, keys); err != nil {
			t.Fatal(err)
		}
	}
	press(ordinary, "*6")
	eventually(t, "muted himself", func() bool { m, _, _ := find("alice"); return m })
	press(ordinary, "*6")
	eventually(t, "unmuted himself", func() bool { m, _, _ := find("alice"); return !m })
	press(ordinary, "*9")
	eventually(t, "hand raised", func() bool { _, _, h := find("alice"); return h })
	press(ordinary, "*9")
	eventually(t, "hand lowered", func() bool { _, _, h := find("alice"); return !h })
	press(leader, "*5")
	eventually(t, "all muted", func() bool { _, m, _ := find("alice"); return m })
	press(leader, "*7")
	eventually(t, "locked", func() bool { return room.Info().Locked })
	press(ordinary, "*7") // not his to do
	press(leader, "*7")
	eventually(t, "open again", func() bool { return !room.Info().Locked })
}
