package minutes

import (
	"slices"
	"time"
)

// pace is a token bucket with a queue before it: what comes too fast waits its turn, and the
// oldest is dropped when too much waits.
type pace[T any] struct {
	burst  float64
	rate   float64 // a second
	most   int     // that wait
	tokens float64
	last   time.Time
	queue  []T
}

func newPace[T any](burst, rate float64, most int) *pace[T] {
	return &pace[T]{burst: burst, rate: rate, most: most, tokens: burst}
}

// add queues v, and returns what was dropped for it, if something was.
func (p *pace[T]) add(v T) (old T, dropped bool) {
	if dropped = len(p.queue) >= p.most; dropped {
		old, p.queue = p.queue[0], p.queue[1:]
	}
	p.queue = append(p.queue, v)
	return old, dropped
}

// putBack has what was taken be the next again.
func (p *pace[T]) putBack(v T) { p.queue = slices.Insert(p.queue, 0, v) }

// take returns the next whose turn it is, or how long to wait for it; zero: nothing waits.
func (p *pace[T]) take(now time.Time) (v T, ok bool, wait time.Duration) {
	if len(p.queue) == 0 {
		return v, false, 0
	}
	if !p.last.IsZero() {
		p.tokens = min(p.burst, p.tokens+p.rate*now.Sub(p.last).Seconds())
	}
	p.last = now
	if p.tokens < 1 {
		return v, false, max(time.Millisecond, time.Duration((1-p.tokens)/p.rate*float64(time.Second)))
	}
	p.tokens--
	v, p.queue = p.queue[0], p.queue[1:]
	return v, true, 0
}
