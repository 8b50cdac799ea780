package leg

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"rendezvous/internal/netlink"
	tones "rendezvous/internal/sound"
	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
)

// browserUp is a browser that sends a tone and a camera's pictures over a link, and obeys what it is asked for (REMB) as libwebrtc does: for
// all that it sends, but with pictures of 30 kbit/s at least.
type browserUp struct {
	t       *testing.T
	leg     *Leg
	voice   *fake
	camera  *fake
	enc     codec.Encoder
	link    *netlink.Link[rtp.Packet]
	started time.Time
	wanted  int // bit/s of pictures

	limit   int // bit/s, 0: none
	orders  []order
	paced   []rtp.Packet
	leave   time.Time
	numbers [2]uint16
	samples int

	heard    []int16
	requests int // for what is missing of pictures, while their queue was to run dry
}

type order struct {
	at    time.Time
	limit int
}

const soundSSRC, cameraSSRC = 71, 72

func newBrowserUp(t *testing.T, wanted int, s netlink.Settings) *browserUp {
	b := &browserUp{t: t, wanted: wanted, started: time.Now(), link: netlink.New[rtp.Packet](s, 1)}
	b.leg = New(Config{})
	var camera *Stream
	camera, b.camera = attach(t, b.leg, Media{Kind: Video, Receive: []Codec{h264}, Send: h264, SSRC: 1, Congestion: controlled(1e6)})
	_, b.voice = attach(t, b.leg, Media{Kind: Audio, Receive: []Codec{opus}, Send: opus, SSRC: 2})
	b.leg.Port().Enter(testRungs, nil)
	camera.SetShown(640, 360)
	var err error
	if b.enc, err = codec.NewEncoder(codec.Params{Name: "opus", Channels: 1, Bitrate: 32_000}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browserUp) close() {
	b.enc.Close()
	b.camera.close()
	b.voice.close()
	b.leg.Close()
}

// send has a packet go onto the link, with what it has on the wire besides.
func (b *browserUp) send(p rtp.Packet) {
	const header = 12 + 8 + 38
	b.link.Send(time.Now(), len(p.Payload)+header, p)
}

func (b *browserUp) deliver() {
	for _, a := range b.link.Deliver(time.Now()) {
		raw, err := a.Data.Marshal()
		if err != nil {
			b.t.Fatal(err)
		}
		to := b.camera
		if a.Data.SSRC == soundSSRC {
			to = b.voice
		}
		to.rtp <- raw
		synctest.Wait()
	}
}

// obey takes what the host has said.
func (b *browserUp) obey() {
	const way, process = 10 * time.Millisecond, 25 * time.Millisecond
	b.camera.mu.Lock()
	said := b.camera.rtcp
	b.camera.rtcp = nil
	b.camera.mu.Unlock()
	for _, p := range said {
		switch p := p.(type) {
		case *rtcp.ReceiverEstimatedMaximumBitrate:
			b.orders = append(b.orders, order{time.Now().Add(way + process), int(p.Bitrate)})
		case *rtcp.PictureLossIndication, *rtcp.TransportLayerNack:
			if b.leg.incoming.Braking(time.Since(b.leg.made)) {
				b.requests++
			}
		}
	}
	for len(b.orders) > 0 && !b.orders[0].at.After(time.Now()) {
		b.limit, b.orders = b.orders[0].limit, b.orders[1:]
	}
}

// run goes on for a while.
func (b *browserUp) run(d time.Duration) {
	const ms = time.Millisecond
	packet := func(ssrc uint32, pt uint8, timestamp uint32, payload []byte) rtp.Packet {
		n := &b.numbers[ssrc-soundSSRC]
		*n++
		return rtp.Packet{Header: rtp.Header{Version: 2, SSRC: ssrc, PayloadType: pt, SequenceNumber: *n, Timestamp: timestamp}, Payload: payload}
	}
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(ms) {
		at := time.Since(b.started)
		b.deliver()
		b.obey()
		if at%(20*ms) == 0 {
			pcm := tones.Sine(1000, 0.25, audio.FrameSamples, b.samples)
			b.samples += audio.FrameSamples
			payload, err := b.enc.Encode(nil, pcm)
			if err != nil {
				b.t.Fatal(err)
			}
			b.send(packet(soundSSRC, opus.PayloadType, uint32(at/ms)*48, payload))
			var f audio.Frame
			b.leg.Port().ReadFrame(&f)
			b.heard = append(b.heard, f[:]...)
		}
		rate := b.wanted
		if b.limit > 0 {
			rate = max(30_000, min(rate, b.limit-57_000))
		}
		if at%(33*ms) == 0 {
			for left := rate * 33 / 8000; left > 0; left -= 1100 {
				p := packet(cameraSSRC, h264.PayloadType, uint32(at/ms)*90, make([]byte, min(left, 1100)))
				p.Payload[0] = 0x41 // a picture that needs others
				p.Marker = left <= 1100
				b.paced = append(b.paced, p)
			}
		}
		for len(b.paced) > 0 && !b.leave.After(time.Now()) {
			b.send(b.paced[0])
			b.leave = time.Now().Add(time.Duration(float64(8*len(b.paced[0].Payload)) / (2.5 * float64(rate+57_000)) * 1e9))
			b.paced = b.paced[1:]
		}
	}
}

// gaps are how long the tone was missing, each time that it was for more than 40 ms, in the last so many seconds.
func (b *browserUp) gaps(d time.Duration) (gaps []time.Duration) {
	const part = 480 // samples: 10 ms
	usual := tones.Amplitude(b.heard[len(b.heard)/4:len(b.heard)/4+48000], 1000, 48000)
	missing := time.Duration(0)
	for i := len(b.heard) - int(d.Seconds()*48000); i+part <= len(b.heard); i += part {
		if tones.Amplitude(b.heard[i:i+part], 1000, 48000) < usual/2 {
			missing += 10 * time.Millisecond
			continue
		}
		if missing > 40*time.Millisecond {
			gaps = append(gaps, missing)
		}
		missing = 0
	}
	return gaps
}

// A sender whose path becomes too narrow in the middle of a meeting is heard without gaps: they are asked for less picture before the queue
// on their path has become long, what is late of their sound is bridged, and nothing is asked for meanwhile that would queue, too.
func TestSoundFirstOnANarrowPath(t *testing.T) {
	for _, tt := range []struct {
		rate, wanted, narrow int           // bit/s
		longest              time.Duration // without the tone; what is more than 40 ms is a gap
	}{
		{0, 500_000, 300_000, 40 * time.Millisecond},
		{0, 900_000, 300_000, 40 * time.Millisecond},
		{300_000, 200_000, 100_000, 60 * time.Millisecond}, // they do not send less than that by themselves
	} {
		synctest.Test(t, func(t *testing.T) {
			s := netlink.Settings{Rate: tt.rate, Delay: 10 * time.Millisecond, Queue: 500 * time.Millisecond}
			b := newBrowserUp(t, tt.wanted, s)
			defer b.close()
			b.run(8 * time.Second)
			s.Rate = tt.narrow
			b.link.Set(time.Now(), s)
			b.run(8 * time.Second)
			for _, gap := range b.gaps(8 * time.Second) {
				if gap > tt.longest {
					t.Errorf("%+v: the tone is missing for %v", tt, gap)
				}
			}
			if b.limit == 0 || b.limit > tt.narrow {
				t.Errorf("%+v: in the end they are asked for %d bit/s", tt, b.limit)
			}
			if b.requests > 0 {
				t.Errorf("%+v: %d requests while their queue was to run dry", tt, b.requests)
			}
		})
	}
}

// The sound of somebody who sends no pictures, and pictures that have a path of their own, bound nothing.
func TestPathsThatAreNotFollowed(t *testing.T) {
	l := New(Config{})
	_, camera := attach(t, l, Media{Kind: Video, Receive: []Codec{h264}, Send: h264, SSRC: 1})
	if l.pictured.Store(true); l.follows() {
		t.Error("the path of a camera alone is followed")
	}
	_, screen := attach(t, l, Media{Kind: Video, Label: "screen", Receive: []Codec{h264}, SSRC: 2, Congestion: controlled(1e6)})
	if !l.follows() {
		t.Error("one path of all is not followed")
	}
	if l.pictured.Store(false); l.follows() {
		t.Error("a path without pictures is followed")
	}
	camera.close()
	screen.close()
	l.Close()
}
