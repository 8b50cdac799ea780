package roomlog

import (
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// pace is a token bucket with a queue before it: what comes too fast waits its turn, and the
// oldest is dropped when too much waits.
type pace[T any] struct {
	bucket *rate.Limiter
	most   int // that wait
	queue  []T
}

func newPace[T any](burst int, perSecond rate.Limit, most int) *pace[T] {
	return &pace[T]{bucket: rate.NewLimiter(perSecond, burst), most: most}
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
	if !p.bucket.AllowN(now, 1) {
		missing := 1 - p.bucket.TokensAt(now)
		return v, false, max(time.Millisecond, time.Duration(missing/float64(p.bucket.Limit())*float64(time.Second)))
	}
	v, p.queue = p.queue[0], p.queue[1:]
	return v, true, 0
}
