package howl_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"rendezvous/internal/speech"
	"rendezvous/mixer/audio/howl"
	"rendezvous/mixer/audio/talk"
)

const rate = 48000

// make16 makes sound of a function of time that is 1 at full scale.
func make16(d time.Duration, f func(t float64) float64) []int16 {
	pcm := make([]int16, int(d.Seconds()*rate))
	for i := range pcm {
		pcm[i] = int16(math.Round(32767 * max(-1, min(1, f(float64(i)/rate)))))
	}
	return pcm
}

func sine(hz, t float64) float64 { return math.Sin(2 * math.Pi * hz * t) }

// dB is the amplitude of a level below full scale.
func dB(level float64) float64 { return math.Pow(10, level/20) }

// saying is speech, as loud as it can be.
func saying(t *testing.T, voice, text string) []int16 {
	t.Helper()
	e, err := speech.New(voice)
	if err != nil {
		t.Fatalf("this test needs the Debian package espeak-ng: %v", err)
	}
	pcm, err := e.Speak(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	peak := 1
	for _, v := range pcm {
		peak = max(peak, int(v), -int(v))
	}
	for i, v := range pcm {
		pcm[i] = int16(int(v) * 32767 / peak)
	}
	return pcm
}

// clipped is sound far too loud.
func clipped(pcm []int16) []int16 {
	for i, v := range pcm {
		pcm[i] = int16(max(-32768, min(32767, 6*int(v))))
	}
	return pcm
}

// feedback is what a microphone takes up whose loudspeaker repeats it: somebody speaks, the way
// through the room and the meeting takes its time and favours one frequency, and the amplifier can
// give so much and no more.
func feedback(speech []int16, gain, hz float64, delay time.Duration, most float64) []int16 {
	return unsteady(speech, gain, hz, delay, most, 0)
}

// unsteady is feedback by way of jitter buffers that change their length, and with loss: in each
// 200 ms one of several things happens, with the given probability.
func unsteady(speech []int16, gain, hz float64, delay time.Duration, most, trouble float64) []int16 {
	d := int(delay.Seconds() * rate)
	lost := 0
	pcm := make([]int16, len(speech))
	r := 0.997 // of the resonance
	w := 2 * math.Pi * hz / rate
	a1, a2 := 2*r*math.Cos(w), -r*r
	scale := (1 - r) * math.Sqrt(1-2*r*math.Cos(2*w)+r*r) // gain 1 at its top
	var y1, y2 float64
	noise := rand.New(rand.NewPCG(1, 2))
	for i := range pcm {
		played := 0.0
		if i%9600 == 0 && noise.Float64() < trouble {
			switch noise.IntN(3) {
			case 0:
				d += noise.IntN(480)
			case 1:
				d = max(rate/20, d-noise.IntN(480))
			case 2:
				lost = i + 960*(1+noise.IntN(2))
			}
		}
		if i >= d && i >= lost {
			played = max(-most, min(most, gain*float64(pcm[i-d])/32768))
		}
		y := scale*played + a1*y1 + a2*y2
		y1, y2 = y, y1
		heard := 0.2*float64(speech[i])/32768 + 0.001*noise.NormFloat64() + y
		pcm[i] = int16(32767 * max(-1, min(1, heard)))
	}
	return pcm
}

const lines = "Good morning everybody. The first point is the budget for next year, which all of you have seen. " +
	"Ooooh no, I am afraid that we are far above it. Mmmm. Hallo? Hallo! Who is that? Two, three, four. Yeeees, please go on."

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

// A quiet loop that loses is no howling.
func TestEchoAloneIsNoHowling(t *testing.T) {
	var d howl.Detector
	pcm := feedback(saying(t, "en", lines), 0.6, 1200, 180*time.Millisecond, 1)
	for at := 0; at+960 <= len(pcm); at += 960 {
		if d.Add(pcm[at:at+960], talk.Level(pcm[at:at+960])) {
			t.Fatal("howls")
		}
	}
}

func BenchmarkTone(b *testing.B) {
	frame := make16(20*time.Millisecond, func(t float64) float64 { return 0.5 * sine(1234, t) })
	level := talk.Level(frame)
	var d howl.Detector
	b.ReportAllocs()
	for b.Loop() {
		d.Add(frame, level)
	}
}

func BenchmarkNoise(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 4))
	frame := make16(20*time.Millisecond, func(float64) float64 { return 0.1 * r.NormFloat64() })
	level := talk.Level(frame)
	var d howl.Detector
	for b.Loop() {
		d.Add(frame, level)
	}
}
