package stretch

// Concealment at full loudness, and the length of the fade to silence after it.
const (
	holdSamples = 960  // 20 ms
	fadeSamples = 2880 // 60 ms
	joinSamples = 240  // 5 ms of crossfade back to real sound
)

// Continuer conceals gaps in sound by repeating its last period, fading to silence
// within 80 ms (after the idea of ITU-T G.711 Appendix I). Zero value is ready.
type Continuer struct {
	past   [2 * MaxLag]int16 // what was heard last, newest at the end
	period [MaxLag]int16
	lag    int // of period; 0 while nothing is being concealed
	at     int // samples made since the gap began
}

// Heard takes real sound. After a gap it fades x's beginning in from the concealment, in place.
func (c *Continuer) Heard(x []int16) {
	if c.lag > 0 {
		n := min(joinSamples, len(x))
		for i := range n {
			x[i] = int16((int32(c.next())*int32(n-i) + int32(x[i])*int32(i)) / int32(n))
		}
		c.lag, c.at = 0, 0
	}
	c.keep(x)
}

// Continue fills x with a continuation.
func (c *Continuer) Continue(x []int16) {
	if c.lag == 0 {
		c.begin()
	}
	for i := range x {
		x[i] = c.next()
	}
}

// Reset forgets what was heard.
func (c *Continuer) Reset() { *c = Continuer{} }

func (c *Continuer) keep(x []int16) {
	if len(x) >= len(c.past) {
		copy(c.past[:], x[len(x)-len(c.past):])
		return
	}
	n := copy(c.past[:], c.past[len(x):])
	copy(c.past[n:], x)
}

func (c *Continuer) begin() {
	c.lag, _ = bestLag(c.past[:], MaxLag, true)
	c.at = 0
	end := len(c.past)
	copy(c.period[:c.lag], c.past[end-c.lag:])
	// The last quarter fades to what led up to the period, so that repeating it has no seam.
	q := c.lag / 4
	if before := end - 2*c.lag; before >= 0 {
		tail := c.period[c.lag-q : c.lag]
		crossfade(tail, tail, c.past[end-c.lag-q:end-c.lag])
	}
}

func (c *Continuer) next() int16 {
	v := int32(c.period[c.at%c.lag])
	switch over := c.at - holdSamples; {
	case over >= fadeSamples:
		return 0
	case over > 0:
		v = v * int32(fadeSamples-over) / fadeSamples
	}
	c.at++
	return int16(v)
}
