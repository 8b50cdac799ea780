package leg

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
)

// A caller whose camera and microphone see and hear the same each second, and whose network delays one of them.
type lips struct {
	*lossyPath
	sound      *Stream
	soundDelay func(captured time.Duration) time.Duration
	delay      func(captured time.Duration) time.Duration // of pictures
	ppm        float64                                    // how much faster the caller's clock is
	reports    bool
	dtx        bool // nothing but a sign of life is sent of silence

	encoder codec.Encoder
	opusSeq uint16

	heard, shown map[int]time.Duration // when what was captured in which second
}

func newLips(t *testing.T) *lips {
	t.Helper()
	none := func(time.Duration) time.Duration { return 0 }
	l := &lips{lossyPath: newPath(t, 20*ms), soundDelay: none, delay: none, reports: true,
		heard: map[int]time.Duration{}, shown: map[int]time.Duration{}}
	s, f := attach(t, l.leg, Media{Kind: Audio, Receive: []Codec{pcmu, opus}, SSRC: 10})
	t.Cleanup(f.close)
	l.sound = s
	enc, err := codec.NewEncoder(codec.Params{Name: "opus", Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(enc.Close)
	l.encoder = enc
	l.leg.Port().Enter(testRungs, nil)
	return l
}

// their is a time on the caller's clock, which has another beginning.
func (l *lips) their(at time.Duration) time.Duration {
	return 77*time.Hour + time.Duration(float64(at)*(1+l.ppm/1e6))
}

// ts is that time as a timestamp.
func (l *lips) ts(at time.Duration, rate, base uint32) uint32 {
	return base + uint32(int64(l.their(at)/time.Microsecond)*int64(rate)/1_000_000)
}

func (l *lips) report(s *Stream, ssrc, rate, base uint32, n int) {
	at := l.now
	their := l.their(at)
	s.control([]rtcp.Packet{&rtcp.SenderReport{SSRC: ssrc, RTPTime: l.ts(at, rate, base),
		NTPTime: uint64(their/time.Second)<<32 | uint64(their%time.Second)<<32/uint64(time.Second)}}, nil, l.start.Add(at))
	l.after(time.Second, func() { l.report(s, ssrc, rate, base, n+1) })
}

// talk sends 20 ms of sound: a tone in the first 200 ms of each second, noise between.
func (l *lips) talk(n int) {
	at := l.now
	packet := rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 8, SequenceNumber: uint16(n), Timestamp: l.ts(at, 8000, 555)}, Payload: make([]byte, 160)}
	for i := range packet.Payload {
		packet.Payload[i] = byte(0xff - l.rng.IntN(4)) // next to nothing
		if at%time.Second < 200*ms {
			packet.Payload[i] = []byte{0x90, 0x10}[i/10%2] // ±
		}
	}
	if l.dtx {
		l.opus(&packet, n, at)
		return
	}
	l.after(10*ms+l.soundDelay(at), func() { l.sound.sound.Load().push(&pcmu, &packet, l.start.Add(l.now)) })
	l.after(time.Duration(float64(n+1)*20e6/(1+l.ppm/1e6))-at, func() { l.talk(n + 1) })
}

// opus sends the same with Opus, of silence only one packet in 400 ms.
func (l *lips) opus(packet *rtp.Packet, n int, at time.Duration) {
	l.after(time.Duration(n+1)*20*ms-at, func() { l.talk(n + 1) })
	pcm := make([]int16, audio.FrameSamples)
	for i := range pcm {
		pcm[i] = int16(12000 * (i / 24 % 2))
	}
	switch {
	case at%time.Second < 200*ms:
		payload, err := l.encoder.Encode(nil, pcm)
		if err != nil {
			panic(err)
		}
		packet.Payload = payload
	case at%(400*ms) < 20*ms:
		packet.Payload = []byte{0x78}
	default:
		return
	}
	packet.SequenceNumber = l.opusSeq
	l.opusSeq++
	packet.PayloadType = 111
	packet.Timestamp = l.ts(at, 48000, 555)
	l.after(10*ms+l.soundDelay(at), func() { l.sound.sound.Load().push(&opus, packet, l.start.Add(l.now)) })
}

// film sends a picture.
func (l *lips) film(n int) {
	at := l.now
	for i, x := range l.pictures[n%len(l.pictures)] {
		x.SequenceNumber, x.Timestamp, x.SSRC = l.seq, l.ts(at, 90000, 99), 7
		l.seq++
		l.after(10*ms+l.delay(at)+time.Duration(i)*ms/2, func() { l.stream.picture.push(&h264, &x, l.start.Add(l.now)) })
	}
	l.after(time.Duration(float64(n+1)*1e9/30/(1+l.ppm/1e6))-at, func() { l.film(n + 1) })
}

// meet runs the meeting, with a bus each 20 ms and a canvas each 33.
func (l *lips) meet(length time.Duration) {
	l.after(0, func() { l.talk(0) })
	l.after(0, func() { l.film(0) })
	if l.reports {
		rate := uint32(8000)
		if l.dtx {
			rate = 48000
		}
		l.after(100*ms, func() { l.report(l.sound, 8, rate, 555, 0) })
		l.after(150*ms, func() { l.report(l.stream, 7, 90000, 99, 0) })
	}
	quiet := time.Duration(0)
	var bus, canvas func()
	bus = func() {
		var f audio.Frame
		l.leg.Port().ReadFrame(&f)
		for i, v := range f {
			if math.Abs(float64(v)) > 2000 {
				at := l.now + time.Duration(i)*time.Second/audio.SampleRate
				if at-quiet > 500*ms {
					l.heard[int((at-10*ms)/time.Second)] = at // all delays are below a second
				}
				quiet = at
			}
		}
		l.after(20*ms, bus)
	}
	seen := uint64(0)
	canvas = func() {
		if pic, serial := l.stream.Picture(); pic != nil {
			pic.Release()
			for n := seen; n < serial; n++ {
				if n%30 == 0 {
					l.shown[int(n/30)] = l.now
				}
			}
			seen = serial
		}
		l.after(time.Second/30, canvas)
	}
	l.after(3*ms, bus)
	l.after(7*ms, canvas)
	l.play(length)
}

// apart is how much later than the picture the sound of a second was, on the mean of some seconds from one on.
func (l *lips) apart(t *testing.T, from, to int) (apart, sound time.Duration) {
	t.Helper()
	n := 0
	for s := from; s < to; s++ {
		heard, ok1 := l.heard[s]
		shown, ok2 := l.shown[s]
		if !ok1 || !ok2 {
			continue
		}
		apart += heard - shown
		sound += heard - time.Duration(s)*time.Second
		n++
	}
	if n < (to-from)*2/3 {
		t.Fatalf("in seconds %d to %d only %d are both heard and seen", from, to, n)
	}
	return apart / time.Duration(n), sound / time.Duration(n)
}

func TestSoundAndPictureOfACallerComeTogether(t *testing.T) {
	const late = 200 * ms
	after := func(d time.Duration) func(time.Duration) time.Duration {
		return func(at time.Duration) time.Duration {
			if at > 10*time.Second {
				return d
			}
			return 0
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for _, tt := range []struct {
		name  string
		shape func(l *lips)
		apart time.Duration // at most, either way
		sound time.Duration // from mouth to the bus, at most
	}{
		{"clean", func(*lips) {}, 40 * ms, 60 * ms},
		{"sound late", func(l *lips) { l.soundDelay = after(late) }, 40 * ms, 300 * ms},
		{"picture late", func(l *lips) { l.delay = after(late) }, 40 * ms, 320 * ms},
		{"picture late, a fast clock", func(l *lips) { l.delay = after(late); l.ppm = 200 }, 40 * ms, 320 * ms},
		{"sound late, a slow clock", func(l *lips) { l.soundDelay = after(late); l.ppm = -200 }, 40 * ms, 300 * ms},
		{"uneven sound", func(l *lips) {
			l.soundDelay = func(time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(100 * ms))) }
		}, 40 * ms, 220 * ms},
		{"picture late after the sound was", func(l *lips) {
			l.soundDelay = func(at time.Duration) time.Duration {
				if at > 2*time.Second && at < 15*time.Second {
					return late
				}
				return 0
			}
			l.delay = func(at time.Duration) time.Duration {
				if at > 15*time.Second {
					return late
				}
				return 0
			}
		}, 40 * ms, 320 * ms},
		{"sound late, then the picture, with pauses", func(l *lips) {
			l.dtx = true
			l.soundDelay = func(at time.Duration) time.Duration {
				if at > 2*time.Second && at < 15*time.Second {
					return late
				}
				return 0
			}
			l.delay = func(at time.Duration) time.Duration {
				if at > 15*time.Second {
					return late
				}
				return 0
			}
		}, 40 * ms, 320 * ms},
		{"no reports", func(l *lips) { l.delay = after(late); l.reports = false }, 250 * ms, 60 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLips(t)
			tt.shape(l)
			l.meet(45 * time.Second)
			for _, from := range []int{4, 14, 20, 30} {
				apart, sound := l.apart(t, from, from+5)
				t.Logf("second %d: sound %v after the picture, %v after the mouth", from, apart.Round(ms), sound.Round(ms))
			}
			apart, sound := l.apart(t, 22, 44)
			if apart > tt.apart || apart < -tt.apart || sound > tt.sound {
				t.Errorf("sound %v after the picture, %v after the mouth; want %v and %v at most", apart, sound, tt.apart, tt.sound)
			}
		})
	}
}
