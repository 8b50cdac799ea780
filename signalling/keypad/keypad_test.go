package keypad

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/internal/eventually"
	"rendezvous/internal/prompts"
	"rendezvous/mixer/audio"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// caller is somebody with keys and an ear of their own; their leg is in no mix.
type caller struct {
	pad   *Pad
	leg   *leg.Leg
	words *prompts.Set

	mu    sync.Mutex // guards heard
	heard []int16
}

func newCaller(t *testing.T, cfg Config) *caller {
	t.Helper()
	words, err := prompts.English()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Words = words
	c := &caller{words: words}
	c.pad, c.leg = New(cfg, leg.Config{})
	stop := make(chan struct{})
	var listening sync.WaitGroup
	listening.Go(func() {
		var f audio.Frame
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond): // much faster than it is spoken
			}
			for c.leg.Port().ReadPrivate(&f) {
				c.mu.Lock()
				c.heard = append(c.heard, f[:]...)
				c.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		listening.Wait()
		c.leg.Close()
	})
	return c
}

func (c *caller) press(keys string) {
	for _, key := range keys {
		c.pad.Press(key)
	}
}

// hears waits until something has been said, and forgets what was heard.
func (c *caller) hears(t *testing.T, list ...prompts.Prompt) {
	t.Helper()
	want := c.words.Say(list...)
	eventually.NoError(t, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !contains(c.heard, want) {
			return fmt.Errorf("%v is not heard", list)
		}
		c.heard = nil
		return nil
	})
}

func contains(heard, want []int16) bool {
	for i := 0; i+len(want) <= len(heard); i++ {
		if slices.Equal(heard[i:i+len(want)], want) {
			return true
		}
	}
	return false
}

func TestAsk(t *testing.T) {
	for _, test := range []struct{ name, keys, want string }{
		{"ended by the hash", "123#456", "123"},
		{"nothing", "#", ""},
		{"begun again", "12*34#", "34"},
		{"ended by a pause", "12", "12"},
		{"only so many", "01234567890123456789012345678", "01234567890123456789012345678"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCaller(t, Config{Pause: 50 * time.Millisecond})
			c.press(test.keys)
			got, err := c.pad.Ask(t.Context(), prompts.EnterRoom)
			if err != nil || got != test.want {
				t.Errorf("%q, %v; want %q", got, err, test.want)
			}
		})
	}
	t.Run("heard to the end", func(t *testing.T) {
		t.Parallel()
		c := newCaller(t, Config{Pause: 50 * time.Millisecond})
		if got, err := c.pad.Ask(t.Context(), prompts.EnterRoom); err != nil || got != "" {
			t.Errorf("%q, %v", got, err)
		}
		c.hears(t, prompts.EnterRoom)
	})
	t.Run("call over", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := newCaller(t, Config{}).pad.Ask(ctx, prompts.EnterRoom); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

// Keys that nobody reads hold up nobody.
func TestPressDoesNotBlock(t *testing.T) {
	c := newCaller(t, Config{})
	for range 1000 {
		c.pad.Press('1')
	}
	if n := len(c.pad.Keys()); n != keysWaiting {
		t.Errorf("%d keys wait", n)
	}
}

// A caller hears the house before they are in a room, after a silence the first time.
func TestOutside(t *testing.T) {
	in := 0
	c := newCaller(t, Config{LeadIn: 20 * time.Millisecond, Foyer: func(*leg.Leg) func() {
		in++
		return func() { in-- }
	}})
	c.pad.Outside()
	c.pad.Outside()
	c.pad.Say(prompts.Welcome)
	if in != 1 {
		t.Errorf("in the foyer %d times", in)
	}
	c.hears(t, prompts.Welcome)
	c.pad.Inside()
	c.pad.Inside()
	if in != 0 {
		t.Errorf("left: %d", in)
	}
}

func TestAskPIN(t *testing.T) {
	refuse := func(code conference.RefusalCode) error { return &conference.Refusal{Code: code, Text: string(code)} }
	member := new(conference.Member)
	for _, test := range []struct {
		name, given, keys string
		answers           []error // of the room to each PIN
		pins              []string
		want              error
		heard             []prompts.Prompt
	}{
		{"right", "", "12#", []error{nil}, []string{"12"}, nil, nil},
		{"given with the call, wrong, then right", "99", "12#", []error{nil}, []string{"12"}, nil, []prompts.Prompt{prompts.WrongPIN}},
		{"no key, then right", "", "#12#", []error{refuse(conference.RefusedPIN), nil}, []string{"", "12"}, nil, nil},
		{"wrong three times", "", "1#2#3#4#", []error{refuse(conference.RefusedPIN), refuse(conference.RefusedPIN), refuse(conference.RefusedPIN)},
			[]string{"1", "2", "3"}, refuse(conference.RefusedPIN), []prompts.Prompt{prompts.TryLater}},
		{"locked meanwhile", "", "12#", []error{refuse(conference.RefusedLocked)}, []string{"12"}, refuse(conference.RefusedLocked), []prompts.Prompt{prompts.Locked}},
		{"something else", "", "12#", []error{errors.New("broken")}, []string{"12"}, errors.New("broken"), []prompts.Prompt{prompts.TryLater}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			outside := false
			c := newCaller(t, Config{Pause: time.Minute, Foyer: func(*leg.Leg) func() {
				outside = true
				return func() { outside = false }
			}})
			var pins []string
			c.press(test.keys)
			m, err := c.pad.AskPIN(t.Context(), refuse(conference.RefusedPIN), test.given, func(pin string) (*conference.Member, error) {
				if outside {
					t.Error("still in the foyer when they join")
				}
				pins = append(pins, pin)
				if err := test.answers[len(pins)-1]; err != nil {
					return nil, err
				}
				return member, nil
			})
			if !slices.Equal(pins, test.pins) {
				t.Errorf("tried %q, want %q", pins, test.pins)
			}
			switch {
			case test.want == nil && (err != nil || m != member || outside):
				t.Errorf("%v, %v, outside %v", m, err, outside)
			case test.want != nil && (err == nil || err.Error() != test.want.Error() || !outside):
				t.Errorf("%v, want %v; outside %v", err, test.want, outside)
			}
			if err != nil {
				c.hears(t, test.heard...)
			}
		})
	}
	t.Run("call over", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := newCaller(t, Config{}).pad.AskPIN(ctx, refuse(conference.RefusedPIN), "", nil)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

// silent is a door's side of somebody who hears nothing of the room.
type silent struct{}

func (silent) Admitted()                    {}
func (silent) Info(*conference.Info)        {}
func (silent) Chat(conference.Message)      {}
func (silent) Notice(conference.Notice)     {}
func (silent) Ended(_ conference.EndReason) {}

// What keys do in a room, who may use which, and what is said to it.
func TestOrders(t *testing.T) {
	const guest = "sip:guest@example.org"
	host, err := conference.NewHost(conference.Config{Log: slog.New(slog.DiscardHandler), Rooms: settingstest.Rooms(settings.Room{
		SelfUnmute: true, Roles: settings.Roles{Moderator: []string{"sip:lea@example.org"}},
	})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	room := host.Rooms()[0]
	now := time.Now()
	join := func(identity string) (*caller, *Orders) {
		c := newCaller(t, Config{})
		in := leg.New(leg.Config{}) // what the caller hears of the room does not matter here
		m, err := room.Join(t.Context(), conference.Caller{Door: "sip", Identity: identity, Proven: true, Name: identity}, in, silent{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			m.Leave(conference.EndLeft)
			in.Close()
		})
		return c, c.pad.Orders(m, room.Info)
	}
	c, orders := join(guest)
	leader, lead := join("sip:lea@example.org")
	self := func() conference.Participant {
		for _, p := range room.Info().Participants {
			if p.Identity == guest {
				return p
			}
		}
		return conference.Participant{}
	}
	for _, step := range []struct {
		name  string
		by    *Orders
		keys  string
		right func() bool
		says  []prompts.Prompt
	}{
		{"mute", orders, "*6", func() bool { return self().SelfMuted }, []prompts.Prompt{prompts.Muted}},
		{"unmute", orders, "*6", func() bool { return !self().SelfMuted }, []prompts.Prompt{prompts.Unmuted}},
		{"hand up", orders, "*9", func() bool { return self().Hand != nil }, []prompts.Prompt{prompts.HandUp}},
		{"hand down", orders, "*9", func() bool { return self().Hand == nil }, []prompts.Prompt{prompts.HandDown}},
		{"how many", orders, "*2", func() bool { return true }, []prompts.Prompt{prompts.Here, "2"}},
		{"help", orders, "*0", func() bool { return true }, []prompts.Prompt{prompts.Help}},
		{"help for a moderator", lead, "*0", func() bool { return true }, []prompts.Prompt{prompts.Help, prompts.HelpModerator}},
		{"lock by a guest", orders, "*7", func() bool { return !room.Info().Locked }, []prompts.Prompt{prompts.NotAllowed}},
		{"lock", lead, "*7", func() bool { return room.Info().Locked }, []prompts.Prompt{prompts.RoomLocked}},
		{"unlock", lead, "*7", func() bool { return !room.Info().Locked }, []prompts.Prompt{prompts.RoomUnlocked}},
		{"mute all", lead, "*5", func() bool { return self().Muted }, []prompts.Prompt{prompts.AllMuted}},
		{"one's own unmute after it", orders, "*6", func() bool { return !self().Muted }, []prompts.Prompt{prompts.Unmuted}},
		{"unmute all", lead, "*5", func() bool { return !self().Muted }, []prompts.Prompt{prompts.AllUnmuted}},
		{"let in", lead, "*4", func() bool { return true }, []prompts.Prompt{prompts.LetIn}},
		{"record without a recorder", lead, "*3", func() bool { return room.Info().Recording == moderation.RecordingOff }, []prompts.Prompt{prompts.NotAllowed}},
		{"star twice", orders, "**9", func() bool { return self().Hand != nil }, []prompts.Prompt{prompts.HandUp}},
	} {
		for _, key := range step.keys {
			step.by.Press(key, now)
		}
		if !step.right() {
			t.Errorf("%s: the room is %+v", step.name, room.Info())
		}
		if step.by == lead {
			leader.hears(t, step.says...)
		} else {
			c.hears(t, step.says...)
		}
	}

	// What is no order.
	orders.Press('9', now)                                // no star
	orders.Press('*', now)                                //
	orders.Press('9', now.Add(keyPause+time.Millisecond)) // too late
	orders.Press('*', now)                                //
	orders.Press('8', now)                                // means nothing
	orders.Press('9', now)                                // that was the digit
	if self().Hand == nil {
		t.Error("the hand was lowered")
	}
}
