package conference

import "time"

const (
	paceBurst  = 40 // orders at once
	paceRefill = 10 // orders a second
)

// tooMuch is what is said to who gives more.
const tooMuch = "That is too much at once. Wait a moment."

// pace limits the orders of those who do not run the meeting, so that nobody's
// page or script keeps the room busy or floods its chat. It is a token bucket.
type pace struct {
	tokens float64
	last   time.Time // of the last order; zero: none yet
}

// take reports whether one more order may be given now.
func (p *pace) take(now time.Time) bool {
	if p.last.IsZero() {
		p.tokens = paceBurst
	} else {
		p.tokens = min(paceBurst, p.tokens+paceRefill*now.Sub(p.last).Seconds())
	}
	p.last = now
	if p.tokens < 1 {
		return false
	}
	p.tokens--
	return true
}
