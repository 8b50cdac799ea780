package conference

import "golang.org/x/time/rate"

const (
	paceBurst  = 40 // orders at once
	paceRefill = 10 // orders a second
)

// tooMuch is what is said to who gives more.
const tooMuch = "That is too much at once. Wait a moment."

// newPace limits the orders of one who does not run the meeting, so that nobody's
// page or script keeps the room busy or floods its chat.
func newPace() *rate.Limiter { return rate.NewLimiter(paceRefill, paceBurst) }
