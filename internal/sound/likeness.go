package sound

import "math"

// Likeness is the greatest normalised correlation of a sound of 48 kHz with any part of a
// recording of the same rate, from 0 to 1. They are compared at 4 kHz.
func Likeness[S float32 | float64](recording []S, of []int16) float64 {
	like, _ := liken(thin(recording), thin(of))
	return like
}

// Said is how much of a phrase of 48 kHz is in a recording of the same rate, from 0 to 1: the share of its pieces
// of 150 ms, without pauses, that are found there one after another. Likeness asks for the whole phrase at
// once, and a program that stutters in the middle of it, for as little as 2 ms, halves that.
func Said[S float32 | float64](recording []S, phrase []int16) float64 {
	const piece = 150 * rate4k / 1000
	where, words := thin(recording), thin(phrase)
	loud := energy(words) / float64(max(1, len(words))) / 4
	pieces, found := 0, 0
	for ; len(words) >= piece; words = words[piece:] {
		if energy(words[:piece]) < loud*piece {
			continue
		}
		pieces++
		if like, at := liken(where, words[:piece]); like > 0.8 {
			found++
			where = where[at:]
		}
	}
	return float64(found) / float64(max(1, pieces))
}

// rate4k is the sample rate at which sounds are compared, in Hz.
const rate4k = 4000

// thin takes samples of 48 kHz to 4 kHz.
func thin[S int16 | float32 | float64](x []S) []float64 {
	const step = Rate / rate4k
	out := make([]float64, 0, len(x)/step)
	for ; len(x) >= step; x = x[step:] {
		sum := 0.0
		for _, v := range x[:step] {
			sum += float64(v)
		}
		out = append(out, sum/step)
	}
	return out
}

func energy(x []float64) (sum float64) {
	for _, v := range x {
		sum += v * v
	}
	return sum
}

// liken returns the greatest normalised correlation of b with a part of a, and where that begins.
func liken(a, b []float64) (best float64, at int) {
	eb := energy(b)
	for lag := 0; lag+len(b) <= len(a); lag++ {
		part := a[lag : lag+len(b)]
		dot := 0.0
		for i, v := range b {
			dot += v * part[i]
		}
		if ea := energy(part); ea > 0 && dot > best*math.Sqrt(ea*eb) {
			best, at = dot/math.Sqrt(ea*eb), lag
		}
	}
	return best, at
}
