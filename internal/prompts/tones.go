package prompts

import (
	"math"
	"time"
)

// The tones are soft (-20 dB) so that they do not drown what is being said.
const toneAmplitude = 3277

// Entry is the sound of somebody coming in: two rising notes.
func Entry() []int16 { return notes(523.25, 783.99) }

// Exit is the sound of somebody leaving: two falling notes.
func Exit() []int16 { return notes(783.99, 523.25) }

// Beep is a short note: a key was taken, or a notice that has no words.
func Beep() []int16 { return note(659.25, 120*time.Millisecond) }

func notes(hz ...float64) []int16 {
	var out []int16
	for _, f := range hz {
		out = append(out, note(f, 110*time.Millisecond)...)
	}
	return out
}

// note is a sine with soft edges.
func note(hz float64, d time.Duration) []int16 {
	n := int(d.Seconds() * SampleRate)
	edge := SampleRate / 100
	out := make([]int16, n)
	for i := range out {
		gain := min(1, float64(min(i, n-1-i))/float64(edge))
		out[i] = int16(gain * toneAmplitude * math.Sin(2*math.Pi*hz*float64(i)/SampleRate))
	}
	return out
}

// Taps of the interpolation filter per phase.
const taps = 16

// triple raises 16 kHz sound to 48 kHz with a windowed sinc filter.
func triple(in []int16) []int16 {
	var filter [3][taps]float64
	for phase := range 3 {
		sum := 0.0
		for i := range taps {
			// Distance of input sample i from the output instant, in input samples.
			x := float64(i-taps/2+1) - float64(phase)/3
			window := 0.5 + 0.5*math.Cos(math.Pi*x/(taps/2))
			if math.Abs(x) >= taps/2 {
				window = 0
			}
			filter[phase][i] = sinc(x) * window
			sum += filter[phase][i]
		}
		for i := range taps {
			filter[phase][i] /= sum
		}
	}
	out := make([]int16, 3*len(in))
	for n := range in {
		for phase := range 3 {
			acc := 0.0
			for i := range taps {
				if j := n + i - taps/2 + 1; j >= 0 && j < len(in) {
					acc += filter[phase][i] * float64(in[j])
				}
			}
			out[3*n+phase] = int16(max(-32768, min(32767, math.Round(acc))))
		}
	}
	return out
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}
