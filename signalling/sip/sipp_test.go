package sip

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"rendezvous/conference"
	"rendezvous/internal/lab/phone"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
	"rendezvous/signalling/sip/sdp"
)

// play has sipp follow a scenario against the door; room is whom it calls.
func (b *bench) play(t *testing.T, name, room string, tcp bool) {
	t.Helper()
	if err := b.scenario(name, room, tcp).Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func (b *bench) scenario(name, room string, tcp bool) phone.Scenario {
	s := phone.Scenario{
		File: filepath.Join("testdata", "sipp", name+".xml"), Target: b.Addr("UDP"), TCP: tcp,
		Keys: map[string]string{"room": room},
	}
	if tcp {
		s.Target = b.Addr("TCP")
	}
	return s
}

// Calls that need nothing special of the door.
func TestScenarios(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	for _, s := range []struct{ name, room string }{
		{"call", "demo"},
		{"call", "42"},
		{"no_sdp", "demo"},
		{"no_answer", "demo"},
		{"unknown_room", "nowhere"},
		{"wrong_codec", "demo"},
		{"bad_sdp", "demo"},
		{"wrong_type", "demo"},
		{"wrong_encoding", "demo"},
		{"requires_100rel", "demo"},
		{"timer_too_short", "demo"},
		{"timer", "demo"},
		{"hold", "demo"},
		{"renegotiate", "demo"},
		{"reinvite_no_sdp", "demo"},
		{"reinvite_bad", "demo"},
		{"glare", "demo"},
		{"old_cseq", "demo"},
		{"refer", "demo"},
		{"late_ack", "demo"},
		{"options", "demo"},
		{"options_unknown", "nowhere"},
		{"stray", "demo"},
		{"video", "demo"},
		{"call", "conference"},
	} {
		t.Run(s.name+" "+s.room, func(t *testing.T) {
			b.play(t, s.name, s.room, false)
		})
	}
	for _, name := range []string{"call", "no_sdp", "hold", "wrong_codec", "options"} {
		t.Run(name+" over TCP", func(t *testing.T) { b.play(t, name, "demo", true) })
	}
	eventually(t, "no call left", func() bool { return b.count(t, "rendezvous_sip_calls") == 0 })
	if left := b.participants(t, "demo"); len(left) != 0 {
		t.Errorf("still in the room: %v", left)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	b := open(t, func(c *Config) { c.Ring = 10 * time.Second })
	b.play(t, "cancel", "demo", false)
	b.play(t, "cancel", "demo", true)
	eventually(t, "no call left", func() bool { return b.count(t, "rendezvous_sip_calls") == 0 })
}

func TestForeignDomain(t *testing.T) {
	t.Parallel()
	b := open(t, func(c *Config) { c.Domains = []string{"meet.example.org"} })
	b.play(t, "unknown_room", "demo", false)
	if n := b.count(t, "rendezvous_sip_rejected_total", "domain"); n == 0 {
		t.Error("refused for another reason")
	}
}

func TestEncryptionRequired(t *testing.T) {
	t.Parallel()
	b := open(t, func(c *Config) { c.SRTP = sdp.SRTPRequired })
	b.play(t, "plain_refused", "demo", false)
}

func TestFullRoom(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	p := newPhone(t, phone.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := p.Dial(ctx, b.uri("tiny", "udp")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one in the room", func() bool { return len(b.participants(t, "tiny")) == 1 })
	b.play(t, "full", "tiny", false)
}

func TestBannedCaller(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	p := newPhone(t, phone.Config{User: "leader"})
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := p.Dial(ctx, b.uri("secret*9876", "udp")); err != nil {
		t.Fatal(err)
	}
	// The moderator bans the caller whom sipp plays.
	running, err := b.scenario("no_media", "secret*1234", false).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	room, _ := b.host.Room("secret")
	eventually(t, "both in the room", func() bool { return len(b.participants(t, "secret")) == 2 })
	target, leader := "", ""
	for _, who := range room.Info().Participants {
		if who.Role == moderation.Moderator {
			leader = who.ID
		} else {
			target = who.ID
		}
	}
	var member *conference.Member
	b.mu.Lock()
	for _, c := range b.calls {
		if m := c.member.Load(); m != nil && m.ID() == leader {
			member = m
		}
	}
	b.mu.Unlock()
	if err := member.Order(moderation.Order{Action: moderation.Ban, Target: target, On: true}); err != nil {
		t.Fatal(err)
	}
	if err := running.Wait(); err != nil { // he is told and hung up on
		t.Error(err)
	}
	b.play(t, "banned", "secret", false)
}

func TestDrainRefusesNewCalls(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	p := newPhone(t, phone.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := p.Dial(ctx, b.uri("demo", "udp")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "in the room", func() bool { return len(b.participants(t, "demo")) == 1 })
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		b.Drain(ctx)
	}()
	eventually(t, "draining", b.isDraining)
	b.play(t, "draining", "demo", false)
	select {
	case <-drained:
		t.Error("drained although a call goes on")
	default:
	}
	if err := p.Hangup(); err != nil {
		t.Fatal(err)
	}
	<-drained
	if ctx.Err() != nil {
		t.Error("not drained after the last call")
	}
}

func TestCallWithoutMediaEnds(t *testing.T) {
	t.Parallel()
	b := open(t, func(c *Config) { c.MediaTimeout = 2 * time.Second })
	start := time.Now()
	b.play(t, "no_media", "demo", false)
	if d := time.Since(start); d < 2*time.Second {
		t.Errorf("call ended after %s", d)
	}
	eventually(t, "counted", func() bool { return b.count(t, "rendezvous_sip_calls_ended_total", "no-media") == 1 })
}

func TestSessionRefresh(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"refresh_update", "refresh_reinvite"} {
		t.Run(name, func(t *testing.T) {
			b := open(t, nil)
			running, err := b.scenario(name, "demo", false).Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "in the room", func() bool { return len(b.participants(t, "demo")) == 1 })
			b.mu.Lock()
			var c *call
			for _, c = range b.calls {
			}
			b.mu.Unlock()
			c.timer.mu.Lock()
			before := c.timer.last
			ours := c.timer.ours
			c.timer.mu.Unlock()
			if !ours {
				t.Error("the phone was to leave the refresh to us")
			}
			c.refresh()
			if err := running.Wait(); err != nil {
				t.Fatal(err)
			}
			c.timer.mu.Lock()
			defer c.timer.mu.Unlock()
			if !c.timer.last.After(before) {
				t.Error("session was not refreshed")
			}
		})
	}
}

func TestKeysByInfo(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	running, err := b.scenario("info_keys", "demo", false).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	room, _ := b.host.Room("demo")
	eventually(t, "the hand is raised", func() bool {
		list := room.Info().Participants
		return len(list) == 1 && list[0].Hand != nil
	})
	if err := running.Wait(); err != nil {
		t.Error(err)
	}
}

func TestChatByMessage(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	running, err := b.scenario("message", "demo", false).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	room, _ := b.host.Room("demo")
	eventually(t, "sipp's line is in the chat", func() bool {
		h := room.History()
		return len(h) == 1 && h[0].Text == "hello from sipp" && h[0].Name == "Sipp"
	})
	other := newPhone(t, phone.Config{User: "writer"})
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := other.Dial(ctx, b.uri("demo", "tcp")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the writer is there", func() bool { return len(b.participants(t, "demo")) == 2 })
	b.mu.Lock()
	for _, c := range b.calls {
		if m := c.member.Load(); m != nil && strings.HasPrefix(c.caller.Address, "sip:writer@") {
			go m.Order(moderation.Order{Action: moderation.Chat, Text: "hello phone"})
		}
	}
	b.mu.Unlock()
	if err := running.Wait(); err != nil {
		t.Error(err)
	}
}

func TestCallOverIPv6(t *testing.T) {
	t.Parallel()
	b := open(t, func(c *Config) { c.UDP, c.TCP = "[::1]:0", "[::1]:0" })
	for _, name := range []string{"call", "no_sdp", "hold"} {
		b.play(t, name, "demo", false)
		b.play(t, name, "demo", true)
	}
}

func TestKeyFrameByInfo(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	running, err := b.scenario("key_frame", "demo", false).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "in the room", func() bool { return len(b.participants(t, "demo")) == 1 })
	b.mu.Lock()
	for _, c := range b.calls {
		transport := keyFramesByInfo{nowhere{}, c.askKeyFrame}
		if err := transport.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{}}); err != nil {
			t.Error(err)
		}
	}
	b.mu.Unlock()
	if err := running.Wait(); err != nil {
		t.Error(err)
	}
}

// nowhere is a transport that takes RTCP and forgets it.
type nowhere struct{ leg.Transport }

func (nowhere) WriteRTCP([]rtcp.Packet) error { return nil }
