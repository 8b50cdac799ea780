//go:build !race

// One goroutine, and minutes of sound: nothing for the race detector. Beside a bus's it has TestCloseWhileRead.

package receive_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/internal/sound"
	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/receive"
	"rendezvous/mixer/audio/red"
)

// repeating puts each packet's predecessors into it (RFC 2198).
func repeating(packets []packet, copies int) []packet {
	var out []packet
	for i, p := range packets {
		var blocks []red.Block
		for k := min(copies, i); k > 0; k-- {
			before := packets[i-k]
			blocks = append(blocks, red.Block{PayloadType: before.header.PayloadType, Offset: p.header.Timestamp - before.header.Timestamp, Payload: before.payload})
		}
		blocks = append(blocks, red.Block{PayloadType: p.header.PayloadType, Payload: p.payload})
		p.header.PayloadType, p.payload = redType, red.Append(nil, blocks)
		out = append(out, p)
	}
	return out
}

// path is a network that loses packets, and sends some of them again.
type path struct {
	delay, jitter time.Duration // one way
	loss          float64       // 0..1
	repairs       bool          // what is lost is sent again, once, a round trip after the next packet has come
}

func (n path) carry(packets []packet) []packet {
	r := rand.New(rand.NewPCG(1, 2))
	var out []packet
	travel := func(p packet, from time.Duration) {
		if p.at = from + n.delay; n.jitter > 0 {
			p.at += time.Duration(r.Int64N(int64(n.jitter)))
		}
		if r.Float64() >= n.loss {
			out = append(out, p)
		}
	}
	for _, p := range packets {
		from, before := p.at, len(out)
		if travel(p, from); n.repairs && len(out) == before {
			travel(p, from+audio.FrameDuration+2*n.delay)
		}
	}
	return out
}

// gaps are the stretches, by the 10 ms, in which the tone is fainter than half of what it was sent with.
func gaps(x []int16, hertz, amplitude float64) (longerThan20, longerThan40, longest int) {
	run := 0
	for i := 0; i+480 <= len(x); i += 480 {
		if sound.Amplitude(x[i:i+480], hertz, sound.Rate) < amplitude/2 {
			run += 10
			continue
		}
		if run > 20 {
			longerThan20++
		}
		if run > 40 {
			longerThan40++
		}
		longest, run = max(longest, run), 0
	}
	return longerThan20, longerThan40, longest
}

// TestLossesAreFilled sends a minute of a steady tone, the sound that is hardest on Opus: a lost packet of it spoils 100 ms.
func TestLossesAreFilled(t *testing.T) {
	tone := sender{t: t, pt: 96, params: codec.Params{Bitrate: 32000}}.send(sound.Sine(1000, 0.25, 60*48000, 0))
	for _, c := range []struct {
		name     string
		path     path
		copies   int
		gaps     int           // of over 40 ms, at most
		delay    time.Duration // at most
		restored bool
	}{
		{"nothing lost", path{delay: 10 * time.Millisecond, jitter: 3 * time.Millisecond}, 1, 0, 40 * time.Millisecond, false},
		{"5 %, repeated once", path{delay: 10 * time.Millisecond, jitter: 3 * time.Millisecond, loss: 0.05}, 1, 2, 60 * time.Millisecond, true},
		{"3 %, far away", path{delay: 100 * time.Millisecond, jitter: 3 * time.Millisecond, loss: 0.03, repairs: true}, 1, 2, 60 * time.Millisecond, true},
		{"5 %, sent again", path{delay: 10 * time.Millisecond, jitter: 3 * time.Millisecond, loss: 0.05, repairs: true}, 0, 2, 80 * time.Millisecond, false},
		{"20 %, repeated once and sent again", path{delay: 10 * time.Millisecond, jitter: 3 * time.Millisecond, loss: 0.2, repairs: true}, 1, 2, 90 * time.Millisecond, true},
		{"20 %, repeated twice", path{delay: 10 * time.Millisecond, jitter: 3 * time.Millisecond, loss: 0.2}, 2, 30, 90 * time.Millisecond, true},
	} {
		packets := tone
		if c.copies > 0 {
			packets = repeating(tone, c.copies)
		}
		l := newListener(t)
		x, _ := l.hear(c.path.carry(packets))
		some, long, longest := gaps(x[10*48000:], 1000, 0.25)
		s := l.r.Stats()
		t.Logf("%s: gaps of over 20 ms: %d, over 40 ms: %d, longest %d ms; %+v", c.name, some, long, longest, s)
		if long > c.gaps {
			t.Errorf("%s: %d gaps of over 40 ms, the longest of %d ms", c.name, long, longest)
		}
		if s.Jitter.Delay > c.delay {
			t.Errorf("%s: a delay of %v", c.name, s.Jitter.Delay)
		}
		if c.restored != (s.Jitter.Restored > 0) || s.Malformed+s.DecodeErrors+s.Jitter.Stray != 0 {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
}

// TestConcealmentKeepsTheDelay: what is made up for lost packets is as long as they were.
func TestConcealmentKeepsTheDelay(t *testing.T) {
	packets := sender{t: t, pt: 96, params: codec.Params{Bitrate: 32000}}.send(sound.Sine(1000, 0.25, 60*48000, 0))
	l := newListener(t)
	l.hear(path{jitter: 3 * time.Millisecond, loss: 0.2}.carry(packets))
	s := l.r.Stats()
	if s.Jitter.Delay > 50*time.Millisecond || s.Accelerated > 48000/10 || s.Concealed > s.Jitter.Lost*960+48000/10 {
		t.Errorf("%+v", s)
	}
}

// lossy drops packets with the given probability.
func lossy(packets []packet, loss float64, seed uint64) []packet {
	r := rand.New(rand.NewPCG(seed, 1))
	var out []packet
	for i, p := range packets {
		if i == 0 || r.Float64() >= loss {
			out = append(out, p)
		}
	}
	return out
}

// TestSpeechSurvivesLoss compares what is heard through a lossy network with what is heard through a
// perfect one, against silence in the place of what was lost.
func TestSpeechSurvivesLoss(t *testing.T) {
	voice := sound.Speech(t, pangram)
	for _, c := range []struct {
		pt   uint8
		loss float64
		most float64 // dB
	}{{96, 0.05, 2}, {96, 0.20, 2.5}, {0, 0.05, 5}, {9, 0.05, 3}} {
		packets := sender{t: t, pt: c.pt, params: codec.Params{Bitrate: 32000, Loss: 20}}.send(voice)
		// With time enough for the FEC from the first, nothing shifts in time.
		clean, _ := newListenerWaiting(t, 60*time.Millisecond).hear(packets)
		l := newListenerWaiting(t, 60*time.Millisecond)
		heard, _ := l.hear(lossy(packets, c.loss, 5))
		holes := slices.Clone(clean)
		r := rand.New(rand.NewPCG(5, 1))
		for i := 960; i+960 <= len(holes); i += 960 {
			if r.Float64() < c.loss {
				clear(holes[i : i+960])
			}
		}
		got := spectralDistance(clean, heard)
		nothing := spectralDistance(clean, holes)
		s := l.r.Stats()
		t.Logf("%s, %.0f %% loss: %.2f dB off, silence instead %.2f dB; FEC used %d of %d lost, concealed %d ms",
			codecs[c.pt].Name, 100*c.loss, got, nothing, s.FECUsed, s.Jitter.Lost, s.Concealed/48)
		if got > c.most || got > 0.4*nothing {
			t.Errorf("%s at %.0f %% loss is %.2f dB off, silence instead of it %.2f dB", codecs[c.pt].Name, 100*c.loss, got, nothing)
		}
	}
}

// TestHolesAreNoHowling: a steady tone of which a tenth is lost is not taken for a microphone that howls; one that
// grows over the same network is.
func TestHolesAreNoHowling(t *testing.T) {
	growing := sound.Sine(1000, 0.7, 20*48000, 0)
	for i := range growing {
		growing[i] = int16(float64(growing[i]) * min(1, math.Pow(10, float64(i)/48000*10/20-2))) // by 10 dB a second
	}
	for _, c := range []struct {
		name  string
		x     []int16
		howls bool
	}{
		{"steady", sound.Sine(1000, 0.25, 60*48000, 0), false},
		{"steady and loud", sound.Sine(1000, 0.33, 60*48000, 0), false},
		{"growing", growing, true},
	} {
		for _, pt := range []uint8{96, 0} {
			synctest.Test(t, func(t *testing.T) {
				b := audio.NewBus(audio.Config{})
				b.SetProcessing(audio.Processing{Howling: true})
				m := &caller{in: receive.New(receive.Config{Codecs: codecs}), pt: pt}
				defer m.in.Close()
				b.Add(holedCaller{m})
				start, howled := time.Now(), false
				for _, p := range (path{jitter: 3 * time.Millisecond, loss: 0.1}).carry(sender{t: t, pt: pt, params: codec.Params{Bitrate: 32000}}.send(c.x)) {
					time.Sleep(time.Until(start.Add(p.at)))
					m.in.Push(&p.header, p.payload, p.level, time.Now())
					howled = howled || b.Fault(holedCaller{m}).Howling
				}
				b.Close()
				if howled != c.howls {
					t.Errorf("%s, %s: howling: %v", c.name, codecs[pt].Name, howled)
				}
			})
		}
	}
}

type holedCaller struct{ *caller }

func (c holedCaller) Holed() bool { return c.in.Holed() }
