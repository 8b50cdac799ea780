package sound

import "math"

// Amplitude is that of the sine of a frequency in pcm, by Goertzel's algorithm with a Hann window,
// which keeps other tones out. 1 is full scale: 32767 in whole numbers. In no samples there is
// no sound. hertz and rate, that of the samples, are in Hz.
func Amplitude[S int16 | float32 | float64](pcm []S, hertz, rate float64) float64 {
	if len(pcm) == 0 {
		return 0
	}
	scale := 1.0
	if _, whole := any(pcm[0]).(int16); whole {
		scale = 1.0 / 32767
	}
	c := 2 * math.Cos(2*math.Pi*hertz/rate)
	var s1, s2, weight float64
	for i, v := range pcm {
		h := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(pcm)))
		weight += h
		s1, s2 = h*scale*float64(v)+c*s1-s2, s1
	}
	if weight == 0 { // one sample
		return 0
	}
	return 2 * math.Sqrt(max(0, s1*s1+s2*s2-c*s1*s2)) / weight
}

// Decibels are those of a ratio of amplitudes, -180 for none.
func Decibels(ratio float64) float64 { return 20 * math.Log10(max(ratio, 1e-9)) }
