package recordingstest

import (
	"sync"
	"time"
)

// Clock is a wall clock that the test moves. It keeps a monotonic reading as
// time.Now does, because it only adds to one.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock makes one that shows the present.
func NewClock() *Clock { return &Clock{now: time.Now()} }

// Now is what it shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves it on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
}
