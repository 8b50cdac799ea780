//go:build !race

// One goroutine, and minutes of sound: nothing for the race detector.

package howl_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"rendezvous/mixer/audio/howl"
	"rendezvous/mixer/audio/talk"
)

// clipped is sound far too loud.
func clipped(pcm []int16) []int16 {
	for i, v := range pcm {
		pcm[i] = int16(max(-32768, min(32767, 6*int(v))))
	}
	return pcm
}

func TestDetector(t *testing.T) {
	var semitones [20]float64 // ratios of frequencies
	for i := range semitones {
		semitones[i] = math.Pow(2, float64(i)/12)
	}
	english := saying(t, "en", lines)
	chord := func(t float64) (s float64) { // three notes with overtones, a new chord each second: in 12 s all twelve
		for _, note := range []int{0, 4, 7} {
			f := 220 * semitones[note+int(t)*5%12]
			s += 0.5*sine(f, t) + 0.25*sine(2*f, t) + 0.15*sine(3*f, t)
		}
		return 0.37 * s
	}
	melody := func(t float64) float64 { // a flute: nearly pure, with vibrato, a note each half second: in 6 s all twelve
		f := 440 * semitones[int(2*t)*7%12]
		return 0.9 * math.Sin(2*math.Pi*f*t+3*math.Sin(2*math.Pi*5*t))
	}
	tone := func(level, hz float64) func(float64) float64 {
		a := dB(level)
		return func(t float64) float64 { return a * sine(hz, t) }
	}
	onOff := func(f func(float64) float64, on, off float64) func(float64) float64 {
		return func(t float64) float64 {
			if math.Mod(t, on+off) < on {
				return f(t)
			}
			return 0
		}
	}
	for _, c := range []struct {
		name  string
		pcm   []int16
		howls bool
	}{
		{"English", english, false},
		{"a woman's voice", saying(t, "en+f3", lines), false},
		{"a deep voice", saying(t, "en+m7", lines), false},
		{"shouting into clipping", clipped(slices.Clone(english)), false},
		{"a woman shouting into clipping", clipped(saying(t, "en+f3", lines)), false},
		{"German", saying(t, "de", "Guten Morgen. Zuerst geht es um den Haushalt, der allen vorliegt. Ooooh nein, das ist zu viel."), false},
		{"chords", make16(12*time.Second, chord), false},
		{"a melody", make16(6*time.Second, melody), false},
		{"a test tone", make16(20*time.Second, tone(-12, 440)), false},
		{"a louder test tone", make16(20*time.Second, tone(-7, 1000)), false},
		{"a loud short tone", make16(5*time.Second, onOff(tone(-1, 1000), 0.9, 0.3)), false},
		{"a key held down", make16(5*time.Second, func(t float64) float64 { return 0.5*sine(770, t) + 0.5*sine(1336, t) }), false},
		{"American ringing", make16(12*time.Second, onOff(func(t float64) float64 { return dB(-14) * (sine(440, t) + sine(480, t)) }, 2, 4)), false},
		{"a busy line, loud", make16(12*time.Second, onOff(tone(-1, 425), 0.5, 0.5)), false},
		{"European ringing", make16(12*time.Second, onOff(tone(-10, 425), 1, 4)), false},
		{"a dial tone", make16(12*time.Second, tone(-8, 425)), false},
		{"a fax calling", make16(12*time.Second, onOff(tone(-8, 1100), 0.5, 3)), false},
		{"hum", make16(12*time.Second, func(t float64) float64 { return 0.9 * sine(50, t) }), false},
		{"a moderate tone that swells", make16(5*time.Second, func(t float64) float64 { return dB(min(-12, -40+20*t)) * sine(700, t) }), false},
		{"noise", func() []int16 {
			r := rand.New(rand.NewPCG(3, 4))
			return make16(5*time.Second, func(float64) float64 { return 0.3 * r.NormFloat64() })
		}(), false},

		{"a tone at full scale", make16(3*time.Second, func(t float64) float64 { return sine(2345, t) }), true},
		{"a clipped tone", make16(3*time.Second, func(t float64) float64 { return 4 * sine(900, t) }), true},
		{"a tone that swells to the full", make16(6*time.Second, func(t float64) float64 { return dB(min(-8, -40+12*t)) * sine(3100, t) }), true},
		{"feedback at 1200 Hz", feedback(english, 2.5, 1200, 180*time.Millisecond, 1), true},
		{"feedback at 450 Hz", feedback(saying(t, "en+f3", lines), 1.6, 450, 320*time.Millisecond, 1), true},
		{"feedback at 5 kHz", feedback(saying(t, "de", lines), 2, 5000, 120*time.Millisecond, 0.9), true},
		{"feedback through jitter buffers and loss", unsteady(english, 2, 1300, 250*time.Millisecond, 1, 0.5), true},
		{"feedback that a limiter holds at a quarter", feedback(make([]int16, 8*rate), 1.7, 2500, 200*time.Millisecond, 0.42), true},
	} {
		var d howl.Detector
		first, after := time.Duration(0), 0
		for at := 0; at+960 <= len(c.pcm); at += 960 {
			frame := c.pcm[at : at+960]
			if d.Add(frame, talk.Level(frame)) {
				if after++; after == 1 {
					first = time.Duration(at/48) * time.Millisecond
				}
			}
		}
		if (after > 0) != c.howls {
			t.Errorf("%s: howls %v (first at %v), want %v", c.name, after > 0, first, c.howls)
		} else if c.howls {
			t.Logf("%s: found after %v", c.name, first)
		}
	}
}
