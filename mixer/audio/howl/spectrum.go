package howl

import (
	"math"
	"math/cmplx"
	"sync"
)

const (
	size     = 512   // of the transform
	halfRate = 24000 // Hz: two samples of 48 kHz are made one
	lobe     = 3     // bins to either side of a tone that its window spreads it over
	lowest   = 3     // bin: 140 Hz; hum is no howling
)

// tables of the transform, which never change.
var tables = sync.OnceValue(func() (t struct {
	window [size]float64
	twist  [size / 2]complex128
	order  [size]int
}) {
	for i := range size {
		for bit := 1; bit < size; bit <<= 1 {
			t.order[i] <<= 1
			if i&bit != 0 {
				t.order[i] |= 1
			}
		}
	}
	for i := range size / 2 {
		t.twist[i] = cmplx.Rect(1, -2*math.Pi*float64(i)/size)
	}
	const n = 480
	for i := range n {
		t.window[i] = 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/n)
	}
	return t
})

// tone returns the frequency of the tone that makes up nearly all of the sound, or 0.
func tone(pcm []int16) float64 {
	t := tables()
	var x [size]complex128
	for i := range min(len(pcm)/2, size) {
		x[t.order[i]] = complex(t.window[i]*float64(int32(pcm[2*i])+int32(pcm[2*i+1])), 0)
	}
	for half := 1; half < size; half *= 2 {
		step := size / 2 / half
		for start := 0; start < size; start += 2 * half {
			for k := range half {
				a, b := x[start+k], x[start+k+half]*t.twist[k*step]
				x[start+k], x[start+k+half] = a+b, a-b
			}
		}
	}
	var power [size / 2]float64
	var sum float64
	best := lowest
	for k := range power {
		power[k] = real(x[k])*real(x[k]) + imag(x[k])*imag(x[k])
		sum += power[k]
		if k >= lowest && power[k] > power[best] {
			best = k
		}
	}
	if best+lobe >= len(power) || power[best] < power[best-1] { // beyond the edges
		return 0
	}
	var peak float64
	for k := max(0, best-lobe); k <= best+lobe; k++ {
		peak += power[k]
	}
	if peak < purity*sum {
		return 0
	}
	// The top of the parabola through the three highest bins, in dB.
	a, b, c := math.Log(power[best-1]+1), math.Log(power[best]+1), math.Log(power[best+1]+1)
	offset := 0.0
	if bend := a - 2*b + c; bend < 0 {
		offset = (a - c) / 2 / bend
	}
	return (float64(best) + offset) * halfRate / size
}
