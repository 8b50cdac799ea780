package sound

import "math"

// Sine is n samples at 48 kHz of a tone that began from samples earlier. Its amplitude is of 1,
// full scale.
func Sine(hertz, amplitude float64, n, from int) []int16 {
	return SineAt(Rate, hertz, amplitude, n, from)
}

// SineAt is Sine at another sample rate, in Hz.
func SineAt(rate, hertz, amplitude float64, n, from int) []int16 {
	x := make([]int16, n)
	for i := range x {
		x[i] = int16(math.Round(32767 * amplitude * math.Sin(2*math.Pi*hertz*float64(i+from)/rate)))
	}
	return x
}
