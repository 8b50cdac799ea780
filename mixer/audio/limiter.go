package audio

const (
	ceiling     = 29000                    // peak that a limited frame keeps below, -1 dBFS
	attack      = 48                       // samples in which the gain falls: 1 ms
	release     = 1.05                     // by which the gain may rise in 20 ms: 12 dB in 0.6 s
	kneeRoom    = float32(32767 - ceiling) // what overshoots while the gain falls is bent into this
	frameLength = float32(FrameSamples)
)

// limiter turns the loudness of a sum down where it would exceed 16 bits; below that it changes nothing.
type limiter struct {
	gain float32 // at the end of the last frame
}

func newLimiter() limiter { return limiter{gain: 1} }

// apply writes the limited sum to dst.
func (l *limiter) apply(dst *Frame, sum *[FrameSamples]int32) {
	var peak int32
	for _, v := range sum {
		peak = max(peak, v, -v)
	}
	if l.gain == 1 && peak <= 32767 {
		for i, v := range sum {
			dst[i] = int16(v)
		}
		return
	}
	from, to := l.gain, min(1, l.gain*release)
	if peak > ceiling {
		to = min(to, ceiling/float32(peak))
	}
	ramp := frameLength
	if to < from {
		ramp = attack
	}
	step := (to - from) / ramp
	for i, v := range sum {
		g := to
		if f := float32(i); f < ramp {
			g = from + step*f
		}
		dst[i] = int16(bend(float32(v) * g))
	}
	l.gain = to
}

// bend is the identity up to the ceiling and stays below full scale beyond it.
func bend(x float32) float32 {
	switch {
	case x > ceiling:
		over := x - ceiling
		return ceiling + kneeRoom*over/(over+kneeRoom)
	case x < -ceiling:
		over := -x - ceiling
		return -ceiling - kneeRoom*over/(over+kneeRoom)
	}
	return x
}
