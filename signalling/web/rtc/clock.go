package rtc

import (
	"sync"
	"time"
)

// clock has the controls that receive something tick each feedbackEvery, all of them by one goroutine, which stands still while
// there is none.
type clock struct {
	mu       sync.Mutex // guards controls
	controls map[*control]struct{}

	wake    chan struct{} // capacity 1: there is a control
	stop    chan struct{}
	stopped chan struct{}
}

func newClock() *clock {
	c := &clock{
		controls: make(map[*control]struct{}),
		wake:     make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go c.run()
	return c
}

func (c *clock) add(x *control) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.controls[x] = struct{}{}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *clock) remove(x *control) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.controls, x)
}

// close ends the goroutine and waits for it.
func (c *clock) close() {
	close(c.stop)
	<-c.stopped
}

func (c *clock) run() {
	defer close(c.stopped)
	tick := time.NewTicker(feedbackEvery)
	defer tick.Stop()
	var due []*control
	for {
		due = due[:0]
		c.mu.Lock()
		for x := range c.controls {
			due = append(due, x)
		}
		c.mu.Unlock()
		if len(due) == 0 {
			tick.Stop()
			select {
			case <-c.wake:
				tick.Reset(feedbackEvery)
			case <-c.stop:
				return
			}
			continue
		}
		select {
		case now := <-tick.C:
			for _, x := range due {
				x.tick(now)
			}
			clear(due) // who has left is not held on to
		case <-c.stop:
			return
		}
	}
}
