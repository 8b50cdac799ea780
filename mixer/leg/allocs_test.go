package leg

import (
	"testing"
	"time"

	"github.com/pion/rtp"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/ladder"
)

// counting is a Transport that keeps nothing.
type counting struct {
	*fake
	n int
}

func (c *counting) WriteRTP(*rtp.Header, []byte) error { c.n++; return nil }

// Nothing is allocated for a packet in either direction, nor for a pass of either clock.
func TestPacketsDoNotAllocate(t *testing.T) {
	l := New(Config{})
	as, sound := attach(t, l, Media{Kind: Audio, Receive: []Codec{opus}, SSRC: 1, LevelExt: 1})
	vs, video := attach(t, l, Media{Kind: Video, Receive: []Codec{h264}, SSRC: 2})

	h := rtp.Header{Version: 2, PayloadType: 111, SSRC: 5}
	if err := h.SetExtension(1, []byte{30}); err != nil {
		t.Fatal(err)
	}
	if err := h.SetExtension(3, []byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 1300)
	var packet rtp.Packet
	now := time.Unix(1000, 0)
	receive := func(s *Stream, pt uint8, payload []byte, step uint32) float64 {
		h.PayloadType = pt
		return testing.AllocsPerRun(1000, func() {
			h.SequenceNumber++
			h.Timestamp += step
			h.Marker = true
			n, err := h.MarshalTo(raw)
			if err != nil {
				t.Fatal(err)
			}
			n += copy(raw[n:], payload)
			now = now.Add(10 * time.Millisecond)
			s.receive(&packet, raw[:n], now)
		})
	}
	// 20 ms of Opus at 20 ms each; the jitter buffer is not read, and drops.
	if n := receive(as, 111, append([]byte{0x78}, make([]byte, 80)...), 960); n > 0 {
		t.Errorf("%v allocations for a packet of sound", n)
	}
	// Not decoded: the leg is in no mix. Requests are sent once a second: 10 in these 1000.
	if n := receive(vs, 96, append([]byte{0x41}, make([]byte, 1000)...), 900); n > 0 {
		t.Errorf("%v allocations for a packet of a picture", n)
	}
	sound.close()
	video.close()
	l.Close()

	l = New(Config{Now: func() time.Time { return now }})
	out := &counting{fake: newFake()}
	for _, m := range []Media{{Kind: Audio, Send: opus, SSRC: 1}, {Kind: Video, Send: h264, SSRC: 2, Congestion: controlled(100e6)}} {
		m.Transport = out
		if _, err := l.Attach(m); err != nil {
			t.Fatal(err)
		}
	}
	l.sender.close() // its work is done below
	l.Port().Enter(testRungs, nil)
	u := unit(ladder.H264, 0, true, 0, 3)
	var wants []ladder.Want
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Millisecond) // of 1000 frames one or two are followed by a report
		l.Port().WritePacket(audio.Packet{Payload: u.Payloads[0], Samples: audio.FrameSamples}, l.Port().Format())
		p, _ := l.sender.sound.pop()
		l.sender.sendSound(p)
		wants = l.Port().Watching(wants[:0])
		u.PTS += 3000
		u.Number++
		l.Port().WriteUnit(u)
		for wait := l.sender.sendPictures(now); wait > 0; wait = l.sender.sendPictures(now) {
			now = now.Add(wait)
		}
	}); n > 0 {
		t.Errorf("%v allocations to send a frame of sound and a picture", n)
	}
	if out.n < 4000 {
		t.Errorf("%d packets sent", out.n)
	}
	out.close()
	l.Close()
}

// A session adds the interceptors' allocations, which are theirs: they are bounded here so that
// nobody adds to them unseen.
func TestSessionAllocations(t *testing.T) {
	wa, wb := newWire()
	s := newTestSession(t, wa, 1, nil)
	raw := make([]byte, 1000)
	raw[0], raw[1] = 0x80, 96
	buf := make([]byte, 1500)
	seq := uint16(0)
	if n := testing.AllocsPerRun(1000, func() {
		seq++
		raw[2], raw[3] = byte(seq>>8), byte(seq)
		wb.rtpOut <- raw
		if _, err := s.ReadRTP(buf); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("%v allocations to read a packet, want the interceptors' header", n)
	}
	wa.drop = func([]byte) bool { return true }
	h := rtp.Header{Version: 2, PayloadType: 96}
	n := testing.AllocsPerRun(2000, func() {
		h.SequenceNumber++
		if err := s.WriteRTP(&h, raw[12:]); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%v allocations to write a packet", n)
	if n > 3 {
		t.Errorf("%v allocations to write a packet", n)
	}
	wa.close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
