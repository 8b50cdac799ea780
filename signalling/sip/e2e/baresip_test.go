package e2e

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/eventually"
	"rendezvous/internal/lab/phone"
	"rendezvous/internal/sound"
	"rendezvous/signalling/sip"
	"rendezvous/signalling/sip/siptest"
)

// newPhone starts a baresip that ends with the test.
func newPhone(t *testing.T, cfg phone.Config) *phone.Phone {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
	defer cancel()
	p, err := phone.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("telephone says:\n%s", p.Log())
		}
		p.Close()
	})
	return p
}

// uri is the address of a room over a transport.
func uri(b *siptest.Door, room, transport string) string {
	return fmt.Sprintf("sip:%s@%s;transport=%s", room, b.Addr(strings.ToUpper(transport)), transport)
}

// heard decodes what a telephone heard to samples from -1 to 1 at 48 kHz.
func heard(t *testing.T, p *phone.Phone) []float64 {
	t.Helper()
	file, err := p.Heard()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := exec.Command("sox", "--ignore-length", file, "-t", "raw", "-e", "signed", "-b", "16", "-L", "-r", "48000", "-c", "1", "-").Output()
	if err != nil {
		t.Fatalf("sox %s: %v", file, err)
	}
	out := make([]float64, len(raw)/2)
	for i := range out {
		out[i] = float64(int16(uint16(raw[2*i])|uint16(raw[2*i+1])<<8)) / 32768
	}
	return out
}

// level is that of a tone in a recording, in dB relative to full scale.
func level(pcm []float64, hz float64) float64 {
	return sound.Decibels(sound.Amplitude(pcm, hz, sound.Rate))
}

// Two telephones in a room hear each other, whatever they speak and however they come.
func TestTelephonesHearEachOther(t *testing.T) {
	for _, test := range []struct {
		name   string
		a, b   phone.Config
		secure bool
	}{
		{"UDP Opus and PCMU",
			phone.Config{Codecs: []string{"opus/48000/2"}}, phone.Config{Codecs: []string{"PCMU/8000/1"}}, false},
		{"TCP G722, TLS Opus with SRTP",
			phone.Config{Transport: "tcp", Codecs: []string{"G722/16000/1"}},
			phone.Config{Transport: "tls", Codecs: []string{"opus/48000/2"}, MediaEnc: "srtp-mand"}, true},
		{"UDP PCMA with best-effort SRTP, SAVPF",
			phone.Config{Codecs: []string{"PCMA/8000/1"}, MediaEnc: "srtp"},
			phone.Config{Codecs: []string{"opus/48000/2"}, MediaEnc: "srtp-mandf"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := siptest.Open(t, nil)
			test.a.Tone, test.b.Tone = 600, 1000
			test.a.User, test.b.User = "alice", "bob"
			phones := []*phone.Phone{newPhone(t, test.a), newPhone(t, test.b)}
			ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
			defer cancel()
			for i, cfg := range []phone.Config{test.a, test.b} {
				transport := cfg.Transport
				if transport == "" {
					transport = "udp"
				}
				if err := phones[i].Dial(ctx, uri(b, "demo", transport)); err != nil {
					t.Fatal(err)
				}
			}
			eventually.True(t, "both in the room", func() bool { return len(b.Participants(t, "demo")) == 2 })
			time.Sleep(6 * time.Second) // of conversation
			for _, p := range phones {
				if err := p.Hangup(); err != nil {
					t.Fatal(err)
				}
			}
			eventually.True(t, "both out of the room", func() bool { return len(b.Participants(t, "demo")) == 0 })
			for i, p := range phones {
				other, own := 1000.0, 600.0
				if i == 1 {
					other, own = own, other
				}
				pcm := heard(t, p)
				pcm = pcm[len(pcm)-min(len(pcm), 2*48000):]
				o, s := level(pcm, other), level(pcm, own)
				t.Logf("telephone %d hears the other at %.1f dB, itself at %.1f dB", i, o, s)
				if o < -30 || o-s < 30 {
					t.Errorf("telephone %d hears the other at %.1f dB and itself at %.1f dB", i, o, s)
				}
			}
			// baresip opens holes in NAT with plain RTCP packets before it has keys, each time it
			// sets up its media; wrong keys would be hundreds of packets.
			if n := b.Count(t, "rendezvous_sip_rtp_dropped_total", "srtp"); n > 8 || (n > 0) != test.secure {
				t.Errorf("%v packets failed SRTP", n)
			}
		})
	}
}

// Telephones with cameras are on the canvas, and see it.
func TestVideoTelephones(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, nil)
	phones := []*phone.Phone{
		newPhone(t, phone.Config{User: "alice", Video: true, VideoOnly: "H264", Tone: 500}),
		newPhone(t, phone.Config{User: "bob", Video: true, VideoOnly: "VP8", MediaEnc: "srtp", Transport: "tls"}),
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*siptest.Deadline)
	defer cancel()
	for i, p := range phones {
		if err := p.Dial(ctx, uri(b, "demo", []string{"udp", "tls"}[i])); err != nil {
			t.Fatal(err)
		}
	}
	room := b.Room(t, "demo")
	tiles := func() (out []image.Rectangle) {
		for _, p := range room.Info().Participants {
			for _, s := range p.Streams {
				if s.Video && !s.Rect.Empty() {
					out = append(out, s.Rect)
				}
			}
		}
		return out
	}
	eventually.True(t, "both pictures are on the canvas", func() bool { return len(tiles()) == 2 })
	for i, p := range phones {
		eventually.True(t, "the telephone sees both pictures", func() bool {
			picture, err := p.Snapshot(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if dir := os.Getenv("SIP_TEST_PICTURES"); dir != "" {
				savePNG(t, filepath.Join(dir, fmt.Sprintf("telephone%d.png", i)), picture)
			}
			info := room.Info()
			for _, tile := range tiles() {
				if !bars(picture, tile, info.Width, info.Height) {
					return false
				}
			}
			return true
		})
	}
}

// bars reports whether a tile shows baresip's test picture, red, green and blue bars.
// The telephone may see the canvas smaller than it is.
func bars(m image.Image, tile image.Rectangle, width, height int) bool {
	size := m.Bounds().Size()
	y := (tile.Min.Y + tile.Dy()/2) * size.Y / height
	for i := range 3 {
		x := (tile.Min.X + tile.Dx()*(2*i+1)/6) * size.X / width
		r, g, b, _ := m.At(x, y).RGBA()
		rgb := [3]uint32{r >> 8, g >> 8, b >> 8}
		for j, v := range rgb {
			if i == j && v < 150 || i != j && v > 90 {
				return false
			}
		}
	}
	return true
}

func savePNG(t *testing.T, file string, m image.Image) {
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
}

// While a telephone has the room on hold it is not heard, afterwards it is, with
// and without encryption.
func TestHoldByTelephone(t *testing.T) {
	for _, enc := range []string{"", "srtp-mand"} {
		t.Run("media encryption "+enc, func(t *testing.T) {
			t.Parallel()
			holdByTelephone(t, enc)
		})
	}
}

func holdByTelephone(t *testing.T, enc string) {
	b := siptest.Open(t, func(c *sip.Config) { c.MediaTimeout = 3 * time.Second })
	holder := newPhone(t, phone.Config{User: "holder", Tone: 600, Codecs: []string{"PCMU/8000/1"}, MediaEnc: enc})
	other := newPhone(t, phone.Config{User: "other", Tone: 1000, Codecs: []string{"opus/48000/2"}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*siptest.Deadline)
	defer cancel()
	for _, p := range []*phone.Phone{holder, other} {
		if err := p.Dial(ctx, uri(b, "demo", "udp")); err != nil {
			t.Fatal(err)
		}
	}
	room := b.Room(t, "demo")
	talking := func(name string) bool {
		for _, p := range room.Info().Participants {
			if p.Name == name {
				return p.Talking
			}
		}
		return false
	}
	eventually.True(t, "the holder is heard", func() bool { return talking("holder") })
	if err := holder.Command("hold"); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the holder is not heard on hold", func() bool { return !talking("holder") })
	time.Sleep(5 * time.Second) // longer than the media timeout
	if talking("holder") {
		t.Error("heard while on hold")
	}
	if n := len(b.Participants(t, "demo")); n != 2 {
		t.Fatalf("%d in the room after a hold", n)
	}
	if err := holder.Command("resume"); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the holder is heard again", func() bool { return talking("holder") })
}

// Rubbish at the signalling and media ports of a running host does not disturb a conversation.
func TestRubbishDuringCall(t *testing.T) {
	b := siptest.Open(t, func(c *sip.Config) {
		c.Trusted = nil
		c.Limits.InvitePerSecond = 50
		c.MinPort, c.MaxPort = minMedia, maxMedia
	})
	speaker := newPhone(t, phone.Config{User: "speaker", Tone: 600, Codecs: []string{"PCMU/8000/1"}})
	listener := newPhone(t, phone.Config{User: "listener", Codecs: []string{"opus/48000/2"}, MediaEnc: "srtp-mand"})
	ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
	defer cancel()
	for _, p := range []*phone.Phone{speaker, listener} {
		if err := p.Dial(ctx, uri(b, "demo", "udp")); err != nil {
			t.Fatal(err)
		}
	}
	eventually.True(t, "both in the room", func() bool { return len(b.Participants(t, "demo")) == 2 })
	time.Sleep(3 * time.Second) // of greetings
	targets := []netip.AddrPort{b.Addr("UDP")}
	for _, port := range mediaPorts(t) {
		targets = append(targets, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port))
	}
	if len(targets) != 5 {
		t.Fatalf("two calls without pictures have ports %v", targets[1:])
	}
	sent := throwRubbish(t, b, targets, 5*time.Second)
	for _, p := range []*phone.Phone{listener, speaker} {
		if err := p.Hangup(); err != nil {
			t.Fatal(err)
		}
	}
	eventually.True(t, "room empty", func() bool { return len(b.Participants(t, "demo")) == 0 })
	pcm := heard(t, listener)
	pcm = pcm[len(pcm)-min(len(pcm), 4*48000):]
	bad, windows := 0, 0
	for len(pcm) >= 960 {
		if level(pcm[:960], 600) < -30 {
			bad++
		}
		windows++
		pcm = pcm[960:]
	}
	t.Logf("%d packets of rubbish; %d of %d windows of 20 ms without the tone", sent, bad, windows)
	if windows < 150 || bad > windows/20 {
		t.Errorf("%d of %d windows of 20 ms without the tone", bad, windows)
	}
}

// throwRubbish sends random, truncated and altered packets to ports of a door for a while.
func throwRubbish(t *testing.T, b *siptest.Door, targets []netip.AddrPort, d time.Duration) (sent int) {
	random := rand.New(rand.NewPCG(1, 2))
	conn := b.Socket(t, "UDP")
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for end := time.Now().Add(d); time.Now().Before(end); sent++ {
		text := []byte(siptest.Wire(conn.Request("INVITE", "sip:demo@h", nil, siptest.Offer)))
		switch random.IntN(4) {
		case 0:
			text = text[:random.IntN(len(text))]
		case 1:
			for range 5 {
				text[random.IntN(len(text))] = byte(random.IntN(256))
			}
		case 2: // RTP and RTCP of a sort
			text = append([]byte{0x80, byte(random.IntN(256))}, text[:random.IntN(200)]...)
		case 3:
			for i := range text {
				text[i] = byte(random.IntN(256))
			}
		}
		target := targets[random.IntN(len(targets))]
		if _, err := socket.WriteTo(text, net.UDPAddrFromAddrPort(target)); err != nil {
			t.Fatal(err)
		}
		if sent%20 == 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	return sent
}
