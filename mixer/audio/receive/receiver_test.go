package receive_test

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"
	"go.uber.org/goleak"

	"rendezvous/internal/sound"
	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/jitter"
	"rendezvous/mixer/audio/receive"
	"rendezvous/mixer/audio/talk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const redType = 63

var codecs = map[uint8]codec.Params{
	0: {Name: "PCMU"}, 8: {Name: "PCMA"}, 9: {Name: "G722"}, 96: {Name: "opus", Channels: 2}, 101: {Name: "telephone-event"},
	redType: {Name: "red", Channels: 2},
}

// packet is on its way to a receiver.
type packet struct {
	header  rtp.Header
	payload []byte
	level   int
	at      time.Duration
}

// sender encodes sound to packets of 20 ms.
type sender struct {
	t      testing.TB
	pt     uint8
	params codec.Params
	levels bool
	speed  float64 // of their clock; 0 is 1
}

func (s sender) send(x []int16) []packet {
	s.t.Helper()
	p := codecs[s.pt]
	s.params.Name = p.Name
	enc, err := codec.NewEncoder(s.params)
	if err != nil {
		s.t.Fatal(err)
	}
	defer enc.Close()
	if s.speed == 0 {
		s.speed = 1
	}
	var out []packet
	for i := 0; (i+1)*audio.FrameSamples <= len(x); i++ {
		frame := x[i*audio.FrameSamples : (i+1)*audio.FrameSamples]
		payload, err := enc.Encode(nil, frame)
		if err != nil {
			s.t.Fatal(err)
		}
		level := receive.NoLevel
		if s.levels {
			level = int(talk.Header(talk.Level(frame)))
		}
		out = append(out, packet{
			header: rtp.Header{Version: 2, PayloadType: s.pt, SequenceNumber: uint16(65000 + i), SSRC: 42,
				Timestamp: uint32(4294960000 + i*codec.ClockRate(p.Name)/50)},
			payload: payload, level: level,
			at: time.Duration(float64(i) * 20e6 / s.speed),
		})
	}
	return out
}

// listener reads a receiver every 20 ms of a clock of its own.
type listener struct {
	r   *receive.Receiver
	now time.Time
}

func newListener(t testing.TB) *listener { return newListenerWaiting(t, 0) }

// newListenerWaiting has a least delay.
func newListenerWaiting(t testing.TB, least time.Duration) *listener {
	l := &listener{now: time.Unix(1e9, 0)}
	l.r = receive.New(receive.Config{Codecs: codecs, Jitter: jitter.Config{MinDelay: least}, Now: func() time.Time { return l.now }})
	t.Cleanup(l.r.Close)
	return l
}

// hear plays the packets and returns the sound, and how many frames had any.
func (l *listener) hear(packets []packet) (x []int16, sounding int) {
	packets = slices.Clone(packets)
	slices.SortStableFunc(packets, func(a, b packet) int { return int(a.at - b.at) })
	start := l.now
	end := start.Add(packets[len(packets)-1].at + 20*time.Millisecond)
	for l.now = start.Add(5 * time.Millisecond); l.now.Before(end); l.now = l.now.Add(audio.FrameDuration) {
		for ; len(packets) > 0 && !start.Add(packets[0].at).After(l.now); packets = packets[1:] {
			p := &packets[0]
			l.r.Push(&p.header, p.payload, p.level, start.Add(p.at))
		}
		var f audio.Frame
		if l.r.ReadFrame(&f) {
			sounding++
		} else {
			clear(f[:])
		}
		x = append(x, f[:]...)
	}
	return x, sounding
}

// purity is how far, in dB, what is not the tone lies below the tone.
func purity(x []int16, hertz float64) float64 {
	a := sound.Amplitude(x, hertz, sound.Rate)
	var w, power float64
	for i, v := range x {
		h := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(x)))
		w += h * h
		power += h * h * float64(v) / 32767 * float64(v) / 32767
	}
	return 10 * math.Log10(a*a/2/max(1e-12, power/w-a*a/2))
}

// steepest is the largest step between neighbouring samples.
func steepest(x []int16) int {
	s := 0
	for i := 1; i < len(x); i++ {
		s = max(s, int(x[i])-int(x[i-1]), int(x[i-1])-int(x[i]))
	}
	return s
}

func TestToneThroughEachCodec(t *testing.T) {
	for _, pt := range []uint8{0, 8, 9, 96} {
		l := newListener(t)
		x, _ := l.hear(sender{t: t, pt: pt, params: codec.Params{Bitrate: 48000}}.send(sound.Sine(800, 0.3, 5*48000, 0)))
		mid := x[48000 : 4*48000]
		if a := sound.Amplitude(mid, 800, sound.Rate); a < 0.27 || a > 0.33 {
			t.Errorf("%s: tone of 0.3 comes out with %.3f", codecs[pt].Name, a)
		}
		if p := purity(mid, 800); p < 25 {
			t.Errorf("%s: noise only %.1f dB below the tone", codecs[pt].Name, p)
		}
		s := l.r.Stats()
		if s.Accelerated != 0 || s.Expanded != 0 || s.Concealed != 0 || s.Jitter.Lost != 0 {
			t.Errorf("%s: %+v", codecs[pt].Name, s)
		}
	}
}

func TestUnknownAndMalformedAreCounted(t *testing.T) {
	l := newListener(t)
	h := rtp.Header{PayloadType: 101, SSRC: 1}
	l.r.Push(&h, []byte{1, 2, 3, 4}, receive.NoLevel, l.now) // telephone-event
	h.PayloadType = 96
	l.r.Push(&h, nil, receive.NoLevel, l.now)
	l.r.Push(&h, []byte{0xfb, 0x07, 1}, receive.NoLevel, l.now) // 140 ms
	if s := l.r.Stats(); s.UnknownType != 1 || s.Malformed != 2 || s.Jitter.Received != 0 {
		t.Errorf("%+v", s)
	}
	var f audio.Frame
	if l.r.ReadFrame(&f) {
		t.Error("there is sound")
	}
}

func TestMalformedRedundancy(t *testing.T) {
	l := newListener(t)
	for i, payload := range [][]byte{{}, {0x80 | 96, 0, 0}, {redType, 1, 2, 3}, {5, 1, 2, 3}} {
		l.r.Push(&rtp.Header{Version: 2, PayloadType: redType, SequenceNumber: uint16(i), SSRC: 1}, payload, receive.NoLevel, l.now)
	}
	if s := l.r.Stats(); s.Malformed != 2 || s.UnknownType != 2 || s.Jitter.Received != 0 {
		t.Errorf("%+v", s)
	}
}

// TestComfortNoise is a phone that sends RFC 3389 comfort noise while it is silent.
func TestComfortNoise(t *testing.T) {
	packets := sender{t: t, pt: 0}.send(sound.Sine(800, 0.3, 8*48000, 0))
	var sent []packet
	for i, p := range packets {
		if i%100 >= 50 {
			if i%25 != 0 {
				continue
			}
			p.header.PayloadType, p.payload = 13, []byte{60}
		}
		p.header.SequenceNumber = uint16(len(sent))
		sent = append(sent, p)
	}
	l := newListener(t)
	x, sounding := l.hear(sent)
	s := l.r.Stats()
	if s.Jitter.Lost+s.Jitter.Stalls+s.Jitter.Restarts+s.Concealed+s.UnknownType != 0 || sounding < 195 || sounding > 220 {
		t.Errorf("%d frames sound: %+v", sounding, s)
	}
	if got := steepest(x); got > 1200 { // the tone's own is 1030
		t.Errorf("a step of %d", got)
	}
}

// TestRenegotiatedPayloadTypes moves Opus to another number in the middle of a stream.
func TestRenegotiatedPayloadTypes(t *testing.T) {
	l := newListener(t)
	packets := sender{t: t, pt: 96, params: codec.Params{Bitrate: 48000}}.send(sound.Sine(800, 0.3, 4*48000, 0))
	l.hear(packets[:100])
	l.r.SetCodecs(map[uint8]codec.Params{111: {Name: "opus"}})
	for i := range packets {
		packets[i].header.PayloadType = 111
		packets[i].at -= 2 * time.Second
	}
	x, _ := l.hear(packets[100:])
	if a := sound.Amplitude(x[len(x)/4:len(x)*3/4], 800, sound.Rate); a < 0.27 {
		t.Errorf("the tone comes out with %.3f", a)
	}
}

// TestSwitchOfCodecAndSource goes from Opus to PCMU and to another SSRC without an error.
func TestSwitchOfCodecAndSource(t *testing.T) {
	l := newListener(t)
	a := sender{t: t, pt: 96, params: codec.Params{Bitrate: 48000}}.send(sound.Sine(800, 0.3, 2*48000, 0))
	b := sender{t: t, pt: 0}.send(sound.Sine(1100, 0.3, 2*48000, 0))
	c := sender{t: t, pt: 96, params: codec.Params{Bitrate: 48000}}.send(sound.Sine(1400, 0.3, 2*48000, 0))
	for i := range b {
		b[i].at += 2 * time.Second
		b[i].header.SequenceNumber = a[len(a)-1].header.SequenceNumber + uint16(1+i)
		c[i].at += 4 * time.Second
		c[i].header.SSRC = 43
	}
	x, _ := l.hear(slices.Concat(a, b, c))
	for i, hertz := range []float64{800, 1100, 1400} {
		part := x[i*96000+24000 : i*96000+86000]
		if got := sound.Amplitude(part, hertz, sound.Rate); got < 0.25 {
			t.Errorf("part %d: %.0f Hz comes out with %.3f", i, hertz, got)
		}
	}
	if s := l.r.Stats(); s.DecodeErrors != 0 || s.Jitter.Restarts != 2 {
		t.Errorf("%+v", s)
	}
}

// spectralDistance is the mean difference in dB of two sounds' spectra in bands of speech, over
// those 20 ms where the first one sounds and the two differ.
func spectralDistance(a, b []int16) float64 {
	n, sum := 0, 0.0
	for i := 0; i+960 <= min(len(a), len(b)); i += 960 {
		if talk.Level(a[i:i+960]) > -40 && !slices.Equal(a[i:i+960], b[i:i+960]) {
			sum += bandDistance(a[i:i+960], b[i:i+960])
			n++
		}
	}
	return sum / max(1, float64(n))
}

func bandDistance(a, b []int16) float64 {
	d := 0.0
	bands := []float64{200, 300, 450, 600, 800, 1000, 1300, 1700, 2200, 2800, 3300}
	for _, f := range bands {
		d += math.Abs(20 * math.Log10((sound.Amplitude(a, f, sound.Rate)+1e-3)/(sound.Amplitude(b, f, sound.Rate)+1e-3)))
	}
	return d / float64(len(bands))
}

const pangram = "The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs. How vexingly quick daft zebras jump."

// TestDriftIsFollowedWithoutClicks plays a tone from a sender whose clock is off, far more than any real one to have many corrections.
func TestDriftIsFollowedWithoutClicks(t *testing.T) {
	for _, speed := range []float64{1.004, 0.996} {
		l := newListener(t)
		x, _ := l.hear(sender{t: t, pt: 96, params: codec.Params{Bitrate: 64000}, speed: speed}.send(sound.Sine(440, 0.3, 30*48000, 0)))
		s := l.r.Stats()
		mid := x[2*48000 : len(x)-2*48000]
		// The tone's own steepest slope is 566.
		if got := steepest(mid); got > 750 {
			t.Errorf("speed %v: a step of %d", speed, got)
		}
		if s.Jitter.Lost+s.Jitter.Overflow+s.Jitter.Late != 0 || s.Jitter.Stalls > 0 {
			t.Errorf("speed %v: %+v", speed, s)
		}
		// 30 s at 0.4 %: 120 ms.
		if speed > 1 && (s.Accelerated < 80*48 || s.Accelerated > 160*48) || speed < 1 && (s.Expanded < 80*48 || s.Expanded > 160*48) {
			t.Errorf("speed %v: %+v", speed, s)
		}
		if s.Jitter.Delay > 60*time.Millisecond {
			t.Errorf("speed %v: delay of %v", speed, s.Jitter.Delay)
		}
	}
}

// TestBackgroundIsNotDecoded sends quiet noise with levels, then speech, then noise.
func TestBackgroundIsNotDecoded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	noise := make([]int16, 20*48000)
	for i := range noise {
		noise[i] = int16(r.NormFloat64() * 12) // -69 dBov
	}
	voice := sound.Speech(t, pangram)
	sound := slices.Concat(noise, voice, noise)
	packets := sender{t: t, pt: 96, params: codec.Params{Bitrate: 32000}, levels: true}.send(sound)
	l := newListener(t)
	x, sounding := l.hear(packets)
	s := l.r.Stats()
	frames := len(packets)
	voiced := len(voice) / 960
	t.Logf("%d frames, %d of speech, %d sounding, %d undecoded", frames, voiced, sounding, s.Undecoded)
	if int(s.Undecoded) < (frames-voiced)*9/10 {
		t.Errorf("%d of %d packets of background were not decoded", s.Undecoded, frames-voiced)
	}
	wasteful := newListener(t)
	wasteful.r.SetSparing(false)
	wasteful.hear(packets)
	if n := wasteful.r.Stats().Undecoded; n > 0 {
		t.Errorf("%d packets were not decoded by one who was told to decode all", n)
	}
	plain := newListener(t)
	for i := range packets {
		packets[i].level = receive.NoLevel
	}
	y, _ := plain.hear(packets)
	from, to := len(noise), len(noise)+len(voice)
	if d := spectralDistance(y[from:to], x[from:to]); d > 0.5 {
		t.Errorf("the speech is %.2f dB off that of a receiver that decodes everything", d)
	}
}

// TestWrongLevelsAreFoundOut sends a tone whose packets claim to be silent.
func TestWrongLevelsAreFoundOut(t *testing.T) {
	packets := sender{t: t, pt: 96, params: codec.Params{Bitrate: 32000}}.send(sound.Sine(500, 0.3, 10*48000, 0))
	for i := range packets {
		packets[i].level = 127
	}
	l := newListener(t)
	x, _ := l.hear(packets)
	if a := sound.Amplitude(x[3*48000:9*48000], 500, sound.Rate); a < 0.27 {
		t.Errorf("after 3 s the tone is heard with %.3f", a)
	}
}

func TestSkippedSoundIsPassedOverInTime(t *testing.T) {
	l := newListener(t)
	start := l.now
	packets := sender{t: t, pt: 96, params: codec.Params{Bitrate: 32000}}.send(sound.Sine(500, 0.3, 10*48000, 0))
	var f audio.Frame
	heard := 0
	for i, p := range packets {
		l.now = start.Add(p.at)
		l.r.Push(&p.header, p.payload, p.level, l.now)
		l.now = l.now.Add(5 * time.Millisecond)
		if i < 400 {
			l.r.SkipFrame()
		} else if l.r.ReadFrame(&f) && talk.Level(f[:]) > -20 {
			heard++
		}
	}
	if s := l.r.Stats(); heard < 97 || s.Jitter.Delay > 40*time.Millisecond || s.Jitter.Overflow+s.Jitter.Lost+s.Jitter.Late != 0 {
		t.Errorf("heard %d of 100 frames: %+v", heard, s)
	}
}

// TestCloseWhileRead has packets come, a bus read them and a leg ask, all at once, and ends the call in the middle of it, by turns with
// each codec; it is for the race detector.
func TestCloseWhileRead(t *testing.T) {
	for round := range 20 {
		pt := []uint8{0, 8, 9, 96}[round%4]
		packets := sender{t: t, pt: pt, params: codec.Params{Bitrate: 32000}}.send(sound.Sine(500, 0.3, 48000, 0))
		start, clock := time.Unix(1e9, 0), new(atomic.Int64)
		now := func() time.Time { return start.Add(time.Duration(clock.Load())) }
		r := receive.New(receive.Config{Codecs: codecs, Now: now})
		sounds, stop := make(chan struct{}), make(chan struct{})
		var busy sync.WaitGroup
		repeat := func(work func(i int)) {
			busy.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
						work(i)
					}
				}
			})
		}
		repeat(func(i int) {
			p := packets[i%len(packets)]
			p.header.SequenceNumber = uint16(i)
			p.header.Timestamp = uint32(i * codec.ClockRate(codecs[pt].Name) / 50)
			clock.Add(int64(audio.FrameDuration))
			r.Push(&p.header, p.payload, p.level, now())
			runtime.Gosched()
		})
		heard := 0
		repeat(func(i int) {
			var f audio.Frame
			if i%10 == 0 {
				r.SkipFrame()
			}
			if r.ReadFrame(&f) {
				if heard++; heard == 10 {
					close(sounds)
				}
			}
			r.Holed()
			r.UndecodedLevel()
			r.SetSparing(i%2 == 0)
		})
		repeat(func(i int) {
			r.Stats()
			r.Heard()
			r.SetMinimumDelay(time.Duration(i%2) * audio.FrameDuration)
		})
		<-sounds
		r.SetCodecs(codecs)
		r.Close()
		r.Close()
		r.SetCodecs(codecs)
		close(stop)
		busy.Wait()
		var f audio.Frame
		if r.ReadFrame(&f) {
			t.Fatal("a closed receiver has sound")
		}
	}
}

func TestNoAllocations(t *testing.T) {
	for _, pt := range []uint8{0, 96} {
		l := newListener(t)
		packets := sender{t: t, pt: pt, params: codec.Params{Bitrate: 32000}}.send(sound.Sine(500, 0.3, 30*48000, 0))
		start := l.now
		var f audio.Frame
		i := 0
		step := func() {
			p := &packets[i]
			i++
			l.now = start.Add(p.at)
			l.r.Push(&p.header, p.payload, p.level, l.now)
			l.r.ReadFrame(&f)
		}
		for range 300 {
			step()
		}
		if n := testing.AllocsPerRun(1000, step); n != 0 {
			t.Errorf("%s: %v allocations per packet", codecs[pt].Name, n)
		}
	}
}

func FuzzReceiver(f *testing.F) {
	f.Add([]byte{96, 1, 0, 127, 4, 0x78, 1, 2, 3, 0, 2, 20, 0, 2, 1, 1})
	f.Add([]byte{96, 16, 16, 0, 1, 0x78, 5, 32, 16, 0, 8, 0xe0, 15, 0, 1, 96, 0x78, 0x78, 0x78})
	f.Add([]byte{9, 0, 0, 0, 3, 1, 2, 3, 8, 1, 1, 5, 1, 2, 3, 4, 5})
	f.Fuzz(func(t *testing.T, data []byte) {
		l := newListener(t)
		var fr audio.Frame
		pts := []uint8{0, 8, 9, 96, 96, redType, 101, 13}
		var h rtp.Header
		for len(data) >= 5 {
			n := min(int(data[4]), len(data)-5)
			h.PayloadType = pts[data[0]&7]
			h.SequenceNumber += uint16(data[1] >> 4)
			h.Timestamp += uint32(data[2]) * 60
			h.SSRC = uint32(data[0] >> 7)
			l.r.Push(&h, data[5:5+n], int(data[3])-1, l.now)
			l.now = l.now.Add(time.Duration(data[1]&15) * 3 * time.Millisecond)
			if data[0]&0x40 == 0 {
				l.r.ReadFrame(&fr)
			} else {
				l.r.SkipFrame()
			}
			data = data[5+n:]
		}
	})
}
