// Package clocktest is a clock for tests whose time of day can be set while its monotonic clock goes on: what
// NTP, an administrator or a machine that slept does to a program.
package clocktest

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Clock is a clock whose time of day can be set. It goes as the system's does, or as that of a bubble of
// testing/synctest.
type Clock struct {
	base  time.Time
	begin sync.Once
	start time.Time    // when Now was first asked
	ahead atomic.Int64 // seconds that the time of day was set forward
}

// New makes a clock. It is called outside of bubbles, where there is no monotonic clock; Now inside or outside.
func New() *Clock {
	c := &Clock{base: time.Now()}
	if c.base == c.base.Round(0) {
		panic("clocktest: made where there is no monotonic clock")
	}
	return c
}

// Step sets the time of day forward, or back, by whole seconds.
func (c *Clock) Step(d time.Duration) { c.ahead.Add(int64(d / time.Second)) }

// Now is the present: of the time of day as it was set, and of the monotonic clock as it is.
func (c *Clock) Now() time.Time {
	c.begin.Do(func() { c.start = time.Now() })
	t := c.base.Add(time.Since(c.start))
	// Package time lets nobody set the one without the other. The first word of a Time that has both holds the bit
	// that says so, 33 bits of seconds and 30 of nanoseconds of the time of day, and the second the monotonic
	// clock. The test beside this sees whether that is still so.
	const nanosecondBits = 30
	*(*uint64)(unsafe.Pointer(&t)) += uint64(c.ahead.Load()) << nanosecondBits
	return t
}
