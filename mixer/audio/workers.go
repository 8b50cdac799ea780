package audio

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// maxHelpers is how many cores besides its own a bus may use in a tick.
const maxHelpers = 3

// workers shares out the work of a tick among cores.
type workers struct {
	wake    []chan struct{}
	helpers sync.WaitGroup // running

	// Of the work at hand.
	do   func(int)
	n    int
	next atomic.Int64
	busy sync.WaitGroup
}

func (c *workers) start() {
	c.wake = nil
	for range min(runtime.GOMAXPROCS(0)-1, maxHelpers) {
		wake := make(chan struct{})
		c.wake = append(c.wake, wake)
		c.helpers.Go(func() {
			for range wake {
				c.work()
				c.busy.Done()
			}
		})
	}
}

func (c *workers) stop() {
	for _, wake := range c.wake {
		close(wake)
	}
	c.helpers.Wait()
	c.wake = nil
}

// run calls do(0) to do(n-1), on several cores if there are at least enough of them.
func (c *workers) run(n, enough int, do func(int)) {
	if n < enough || len(c.wake) == 0 {
		for i := range n {
			do(i)
		}
		return
	}
	c.do, c.n = do, n
	c.next.Store(0)
	c.busy.Add(len(c.wake))
	for _, wake := range c.wake {
		wake <- struct{}{}
	}
	c.work()
	c.busy.Wait()
}

func (c *workers) work() {
	for {
		i := int(c.next.Add(1)) - 1
		if i >= c.n {
			return
		}
		c.do(i)
	}
}
