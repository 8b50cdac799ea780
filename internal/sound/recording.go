package sound

import (
	"math"
	"slices"
)

// Recording is sound that was heard: mono, -1 to 1.
type Recording struct {
	PCM  []float32
	Rate int
}

// Level returns how strong a tone is in a recording, in dB relative to a full-scale sine:
// over windows of 100 ms, of which the median counts, so that neither a gap nor a click decides.
func (r Recording) Level(hz float64) float64 {
	window := r.Rate / 10
	if window == 0 || len(r.PCM) < window {
		return math.Inf(-1)
	}
	var amplitudes []float64
	for at := 0; at+window <= len(r.PCM); at += window {
		amplitudes = append(amplitudes, Amplitude(r.PCM[at:at+window], hz, float64(r.Rate)))
	}
	slices.Sort(amplitudes)
	return Decibels(amplitudes[len(amplitudes)/2])
}

// Loudness is the whole recording's root mean square, in dB relative to a full-scale sine.
func (r Recording) Loudness() float64 {
	var sum float64
	for _, v := range r.PCM {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(2*sum/float64(max(1, len(r.PCM)))+1e-12)
}
