package audio_test

import (
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/internal/sound"
	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/talk"
)

// speech says text as loud as the given peak, 0 to 1.
func speech(t testing.TB, text string, peak float64) []int16 {
	t.Helper()
	x := sound.Speech(t, text)
	most := 1
	for _, v := range x {
		most = max(most, int(v), -int(v))
	}
	for i, v := range x {
		x[i] = int16(float64(v) / float64(most) * peak * 32767)
	}
	return x
}

const pangram = "The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs. How vexingly quick daft zebras jump."

// TestNoGlitchWhenAListenerTalks has a member listen to a tone while they say something now and
// then: what they hear of the other must not show when they go from the shared encode to one of their
// own and back. A tone, in which there is no quiet moment to go back in, is the hardest case. What
// the codec itself does to a tone is seen by one who never talks.
func TestNoGlitchWhenAListenerTalks(t *testing.T) {
	for _, c := range []struct {
		name string
		f    audio.Format
		most float64 // dB that any 20 ms may be disturbed against the tone, 0: hardly more than by the codec itself
	}{
		{"Opus 24k", audio.Format{Codec: "opus", Bitrate: 24000}, 0},
		{"Opus 48k", audio.Format{Codec: "opus", Bitrate: 48000}, 0},
		{"Opus 32k with FEC", audio.Format{Codec: "opus", Bitrate: 32000, Loss: 10}, 0},
		{"G722", audio.Format{Codec: "G722"}, -17}, // FFmpeg's encoder shows no state to follow
		{"PCMU", audio.Format{Codec: "PCMU"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				reg, value := metrics(t)
				b := audio.NewBus(audio.Config{Metrics: audio.NewMetrics(reg)})
				b.Add(newMember(t, "", tone(440, 0.3)))
				tick := 0
				word := tone(1500, 0.2)
				m := newMember(t, c.f.Codec, func(f *audio.Frame) bool {
					tick++
					return tick%407 >= 60 && tick%407 < 80 && word(f)
				})
				silent := newMember(t, c.f.Codec, nil)
				m.format, silent.format = c.f, c.f
				b.Add(m)
				b.Add(silent)
				time.Sleep(41*time.Second + time.Millisecond) // five words, one at each place in the tone that they can begin at
				b.Close()
				x, _ := m.sound()
				y, _ := silent.sound()
				worst, mean, at := disturbance(x[48000:], 440)
				itself, _, _ := disturbance(y[2*48000:9*48000], 440) // between two words
				private := value("rendezvous_audio_encodes_total")
				t.Logf("besides the tone: mean %.1f dB, worst 20 ms %.1f dB at %.2f s, of the codec itself %.1f dB; steepest %d; %.0f private encodes",
					mean, worst, at+1, itself, steepest(x[48000:]), private)
				if c.most == 0 && worst > itself+3 || c.most != 0 && worst > c.most {
					t.Errorf("the tone is disturbed to %.1f dB at %.2f s", worst, at+1)
				}
				if private > 1500 || private < 1025 {
					t.Errorf("%.0f private encodes in 2050 ticks", private)
				}
			})
		})
	}
}

// disturbance is what is in x besides the tone, in dB against it: on the average, and in the worst 20 ms, at so many seconds.
func disturbance(x []int16, hertz float64) (worst, mean, at float64) {
	worst = -200
	sum, n := 0.0, 0
	fit := newFit(hertz)
	for i := 0; i+960 <= len(x); i += 480 {
		d := fit.residue(x[i : i+960])
		sum += math.Pow(10, d/10)
		n++
		if d > worst {
			worst, at = d, float64(i)/audio.SampleRate
		}
	}
	return worst, 10 * math.Log10(sum/float64(n)), at
}

// fit fits a sine to 20 ms by least squares.
type fit struct {
	sin, cos   [960]float64
	ss, cc, sc float64
}

func newFit(hertz float64) *fit {
	var f fit
	for i := range f.sin {
		s, c := math.Sincos(2 * math.Pi * hertz * float64(i) / audio.SampleRate)
		f.sin[i], f.cos[i] = s, c
		f.ss += s * s
		f.cc += c * c
		f.sc += s * c
	}
	return &f
}

// residue is the power of what is not the tone, in dB against the tone, which is taken away.
func (f *fit) residue(x []int16) float64 {
	var xs, xc, xx float64
	for i, v := range x {
		v := float64(v)
		xs += v * f.sin[i]
		xc += v * f.cos[i]
		xx += v * v
	}
	det := f.ss*f.cc - f.sc*f.sc
	a, b := (xs*f.cc-xc*f.sc)/det, (xc*f.ss-xs*f.sc)/det
	tone := a*xs + b*xc
	return 10 * math.Log10(max(1e-9, (xx-tone)/max(tone, 1)))
}

// TestSpeechGoesOnWhileAListenerTalks does the same with speech, against a member who never talks.
func TestSpeechGoesOnWhileAListenerTalks(t *testing.T) {
	voice := speech(t, pangram, 0.5)
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{})
		b.Add(newMember(t, "L16", clip(voice)))
		tick := 0
		word := noise(0.1)
		m := newMember(t, "opus", func(f *audio.Frame) bool {
			tick++
			return tick%100 >= 60 && tick%100 < 80 && word(f)
		})
		exact := newMember(t, "opus", nil)
		b.Add(m)
		deafTo := newMember(t, "L16", nil) // hears the word too; only to see that it is loud
		b.Add(deafTo)
		b.Add(exact)
		time.Sleep(20 * time.Second)
		x, _ := m.sound()
		b.Close()

		// What they should hear: the voice, through one encoder.
		enc, err := codec.NewEncoder(codec.Params{Name: "opus", Bitrate: 48000})
		if err != nil {
			t.Fatal(err)
		}
		defer enc.Close()
		dec, err := codec.NewDecoder(codec.Params{Name: "opus"})
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		source := clip(voice)
		var want []int16
		pcm := make([]int16, codec.MaxSamples)
		var f audio.Frame
		for range len(x) / audio.FrameSamples {
			source(&f)
			p, err := enc.Encode(nil, f[:])
			if err != nil {
				t.Fatal(err)
			}
			n, err := dec.Decode(pcm, p)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, pcm[:n]...)
		}
		worst, at := 0.0, 0
		for i := 48000; i+960 <= len(x); i += 480 {
			w := talk.Level(want[i : i+960])
			if w < -45 {
				continue
			}
			if d := math.Abs(talk.Level(x[i:i+960]) - w); d > worst {
				worst, at = d, i
			}
		}
		t.Logf("20 ms of speech differ in level by at most %.1f dB, at %.2f s", worst, float64(at)/48000)
		if worst > 4 {
			t.Errorf("at %.2f s what they hear is off by %.1f dB", float64(at)/48000, worst)
		}
	})
}

// TestGateDoesNotClick lets the detector open and close on bursts of noise and tones.
func TestGateDoesNotClick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := audio.NewBus(audio.Config{})
		var on atomic.Bool
		steady := tone(200, 0.3) // steepest slope 257
		m := newMember(t, "L16", func(f *audio.Frame) bool { return steady(f) && on.Load() })
		listener := newMember(t, "L16", nil)
		b.Add(m)
		b.Add(listener)
		for range 20 {
			on.Store(!on.Load())
			time.Sleep(1013 * time.Millisecond)
		}
		x, _ := listener.sound()
		b.Close()
		// The tone at its steepest plus a fade of its peak within 5 ms.
		if s := steepest(x); s > 257+41+5 {
			t.Errorf("a step of %d", s)
		}
	})
}
