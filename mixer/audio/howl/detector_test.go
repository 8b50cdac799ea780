package howl_test

import (
	"math"
	"math/rand/v2"
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
