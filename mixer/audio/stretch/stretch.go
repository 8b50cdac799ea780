// Package stretch makes 48 kHz sound a little shorter or longer without changing
// its pitch, and carries it on over a gap, by finding the period at which the
// waveform repeats itself.
package stretch

import "math"

// Periods looked for: 2.5 ms to 15 ms, 400 Hz to 67 Hz, the range of voices. Shorter
// periods are found as multiples of themselves.
const (
	MinLag = 120
	MaxLag = 720
)

// quiet is a mean amplitude (-60 dBFS) below which a seam is not heard wherever it is made.
const quiet = 33

// decimation of the coarse search for a lag.
const decimation = 4

// Shorten takes one period, of most samples at most, out of the beginning of x, in place, and returns what is
// left. It takes out nothing where x is too short, or where the waveform repeats
// itself less well than likeness, 0 to 1, asks for.
func Shorten(x []int16, likeness float64, most int) []int16 {
	lag := forwardLag(x, likeness, most)
	if lag == 0 {
		return x
	}
	crossfade(x[lag:2*lag], x[:lag], x[lag:2*lag])
	return x[:copy(x, x[lag:])]
}

// Lengthen repeats one period at the beginning of x, in place as far as x's capacity
// allows, and returns the longer sound, under the same conditions as Shorten. It
// repeats nothing where the capacity does not allow it.
func Lengthen(x []int16, likeness float64) []int16 {
	lag := forwardLag(x, likeness, MaxLag)
	if lag == 0 || cap(x) < len(x)+lag {
		return x
	}
	n := len(x)
	x = x[:n+lag]
	copy(x[2*lag:], x[lag:n])
	// x[lag:2*lag] still holds the period's successor: fade from it back to the period.
	crossfade(x[lag:2*lag], x[lag:2*lag], x[:lag])
	return x
}

// forwardLag is the period at the beginning of x, of most samples at most, or 0.
func forwardLag(x []int16, likeness float64, most int) int {
	most = min(most, MaxLag, len(x)/2)
	if most < MinLag {
		return 0
	}
	if meanAmplitude(x[:2*most]) < quiet {
		return most
	}
	lag, c := bestLag(x[:2*most], most, false)
	if c < likeness {
		return 0
	}
	return lag
}

// crossfade writes the fade from a to b to dst, all of one length; dst may be either.
func crossfade(dst, a, b []int16) {
	n := int32(len(dst))
	for i := range dst {
		w := int32(i)
		dst[i] = int16((int32(a[i])*(n-w) + int32(b[i])*w) / n)
	}
}

func meanAmplitude(x []int16) int {
	sum := 0
	for _, v := range x {
		sum += max(int(v), -int(v))
	}
	return sum / max(1, len(x))
}

// bestLag finds the lag in MinLag..most at which x resembles itself most, at its
// beginning (x[0:w] against x[lag:lag+w]) or, backward, at its end, and the normalised
// correlation there. x holds at least 2*most samples.
func bestLag(x []int16, most int, backward bool) (lag int, likeness float64) {
	var coarse [2 * MaxLag / decimation]int16
	c := coarse[:len(x)/decimation]
	off := 0
	if backward {
		off = len(x) % decimation
	}
	for i := range c {
		s := x[off+i*decimation:]
		c[i] = int16((int32(s[0]) + int32(s[1]) + int32(s[2]) + int32(s[3])) / decimation)
	}
	window := most / decimation
	best, bestC := 0, -1.0
	for l := MinLag / decimation; l <= most/decimation; l++ {
		if r := correlation(c, window, l, backward); r > bestC {
			best, bestC = l, r
		}
	}
	from, to := max(MinLag, (best-1)*decimation), min(most, (best+1)*decimation)
	lag, likeness = from, -1
	for l := from; l <= to; l++ {
		if r := correlation(x, most, l, backward); r > likeness {
			lag, likeness = l, r
		}
	}
	return lag, likeness
}

// correlation of a window at x's beginning or end with the window lag samples further in, -1 to 1.
func correlation(x []int16, window, lag int, backward bool) float64 {
	a, b := x[:window], x[lag:]
	if backward {
		a, b = x[len(x)-window:], x[len(x)-window-lag:]
	}
	b = b[:len(a)]
	var ab, aa, bb int64
	for i, v := range a {
		p, q := int64(v), int64(b[i])
		ab += p * q
		aa += p * p
		bb += q * q
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return float64(ab) / math.Sqrt(float64(aa)*float64(bb))
}
