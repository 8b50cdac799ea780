package e2e

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/pion/rtp"

	"rendezvous/conference"
	"rendezvous/internal/eventually"
	"rendezvous/internal/lab/phone"
	"rendezvous/moderation"
	"rendezvous/signalling/sdp"
	"rendezvous/signalling/sip"
	"rendezvous/signalling/sip/siptest"
)

// play has sipp follow a scenario against the door; room is whom it calls.
func play(t *testing.T, b *siptest.Door, name, room string, tcp bool) {
	t.Helper()
	if err := scenario(b, name, room, tcp).Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func scenario(b *siptest.Door, name, room string, tcp bool) phone.Scenario {
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
	b := siptest.Open(t, nil)
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
			play(t, b, s.name, s.room, false)
		})
	}
	for _, name := range []string{"call", "no_sdp", "hold", "wrong_codec", "options"} {
		t.Run(name+" over TCP", func(t *testing.T) { play(t, b, name, "demo", true) })
	}
	eventually.True(t, "no call left", func() bool { return b.Count(t, "rendezvous_sip_calls") == 0 })
	if left := b.Participants(t, "demo"); len(left) != 0 {
		t.Errorf("still in the room: %v", left)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, func(c *sip.Config) { c.Ring = 10 * time.Second })
	play(t, b, "cancel", "demo", false)
	play(t, b, "cancel", "demo", true)
	eventually.True(t, "no call left", func() bool { return b.Count(t, "rendezvous_sip_calls") == 0 })
}

func TestForeignDomain(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, func(c *sip.Config) { c.Domains = []string{"meet.example.org"} })
	play(t, b, "unknown_room", "demo", false)
	if n := b.Count(t, "rendezvous_sip_rejected_total", "domain"); n == 0 {
		t.Error("refused for another reason")
	}
}

func TestEncryptionRequired(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, func(c *sip.Config) { c.SRTP = sdp.SRTPRequired })
	play(t, b, "plain_refused", "demo", false)
}

func TestFullRoom(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, nil)
	p := newPhone(t, phone.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
	defer cancel()
	if err := p.Dial(ctx, uri(b, "tiny", "udp")); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "one in the room", func() bool { return len(b.Participants(t, "tiny")) == 1 })
	play(t, b, "full", "tiny", false)
}

func TestBusyHost(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, nil)
	b.Busy.Store(true)
	play(t, b, "busy", "demo", false)
	play(t, b, "busy", "secret", false)
}

func TestBannedCaller(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, nil)
	p := newPhone(t, phone.Config{User: "leader"})
	ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
	defer cancel()
	if err := p.Dial(ctx, uri(b, "secret*9876", "udp")); err != nil {
		t.Fatal(err)
	}
	// The caller whom sipp plays is banned, the moderator is not.
	running, err := scenario(b, "no_media", "secret*1234", false).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	room, _ := b.Host.Room("secret")
	eventually.True(t, "both in the room", func() bool { return len(b.Participants(t, "secret")) == 2 })
	target := ""
	for _, who := range room.Info().Participants {
		if who.Role != moderation.Moderator {
			target = who.ID
		}
	}
	by := conference.Operator{Name: "leader", Door: "api", Role: moderation.Moderator}
	if err := room.Order(by, moderation.Order{Action: moderation.Ban, Target: target, On: true}); err != nil {
		t.Fatal(err)
	}
	if err := running.Wait(); err != nil { // it is told and hung up on
		t.Error(err)
	}
	play(t, b, "banned", "secret", false)
}

func TestDrainRefusesNewCalls(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, nil)
	p := newPhone(t, phone.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
	defer cancel()
	if err := p.Dial(ctx, uri(b, "demo", "udp")); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "in the room", func() bool { return len(b.Participants(t, "demo")) == 1 })
	over, stop := context.WithCancel(ctx)
	stop()
	b.Drain(over) // waits for nobody, and takes nobody from now on
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		b.Drain(ctx)
	}()
	play(t, b, "draining", "demo", false)
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
	b := siptest.Open(t, func(c *sip.Config) { c.MediaTimeout = 2 * time.Second })
	start := time.Now()
	play(t, b, "no_media", "demo", false)
	if d := time.Since(start); d < 2*time.Second {
		t.Errorf("call ended after %s", d)
	}
	eventually.True(t, "counted", func() bool { return b.Count(t, "rendezvous_sip_calls_ended_total", "no-media") == 1 })
}

// The host refreshes the session in time, in either way. The phones of the scenarios have it do so
// after six seconds, and stay until it would be over without.
func TestSessionRefresh(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"refresh_update", "refresh_reinvite"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := siptest.Open(t, nil)
			play(t, b, name, "demo", false)
			eventually.True(t, "counted", func() bool { return b.Count(t, "rendezvous_sip_calls_ended_total", "hung-up") == 1 })
		})
	}
}

func TestKeysByInfo(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, nil)
	running, err := scenario(b, "info_keys", "demo", false).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	room, _ := b.Host.Room("demo")
	eventually.True(t, "the hand is raised", func() bool {
		list := room.Info().Participants
		return len(list) == 1 && list[0].Hand != nil
	})
	if err := running.Wait(); err != nil {
		t.Error(err)
	}
}

func TestChatByMessage(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, nil)
	running, err := scenario(b, "message", "demo", false).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	room, _ := b.Host.Room("demo")
	eventually.True(t, "sipp's line is in the chat", func() bool {
		h := room.History()
		return len(h) == 1 && h[0].Text == "hello from sipp" && h[0].Name == "Sipp"
	})
	by := conference.Operator{Name: "writer", Door: "api", Role: moderation.Speaker}
	if err := room.Order(by, moderation.Order{Action: moderation.Chat, Text: "hello phone"}); err != nil {
		t.Fatal(err)
	}
	if err := running.Wait(); err != nil {
		t.Error(err)
	}
}

func TestCallOverIPv6(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, func(c *sip.Config) { c.UDP, c.TCP = "[::1]:0", "[::1]:0" })
	for _, name := range []string{"call", "no_sdp", "hold"} {
		play(t, b, name, "demo", false)
		play(t, b, name, "demo", true)
	}
}

// A phone whose picture begins in the middle, and which knows no feedback by RTCP, is asked for a
// key frame by INFO.
func TestKeyFrameByInfo(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, func(c *sip.Config) { c.MinPort, c.MaxPort = minMedia, maxMedia })
	running, err := scenario(b, "key_frame", "demo", false).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan error, 1)
	go func() { asked <- running.Wait() }()
	eventually.True(t, "in the room", func() bool { return len(b.Participants(t, "demo")) == 1 })
	ports := mediaPorts(t)
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for n := uint16(0); ; n++ {
		// RFC 7741: a frame in one packet that builds on others.
		b, err := (&rtp.Packet{Header: rtp.Header{Version: 2, Marker: true, PayloadType: 97, SSRC: 7, SequenceNumber: n, Timestamp: uint32(n) * 3600},
			Payload: []byte{0x10, 0x01, 0, 0}}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range ports { // one of them is the picture's
			if _, err := socket.WriteTo(b, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)}); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case err := <-asked:
			if err != nil {
				t.Error(err)
			}
			return
		case <-tick.C:
		}
	}
}
