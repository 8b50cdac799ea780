package audio

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// maxHelpers is how many cores besides its own a bus may use in a tick.
const maxHelpers = 3

// task is one of the kinds of work that a tick shares out.
type task int

const (
	readSlots task = iota
	encode
	deliver
	tasks
)

// workers shares out the work of a tick among cores. A helper that is not given a core in time is not waited for: on a machine with
// thousands of goroutines that want to run it may come when the work, or the next one, is long done.
type workers struct {
	do      [tasks]func(int) // set before start, then only read
	wake    []chan struct{}
	helpers sync.WaitGroup // running

	// The work at hand: its task, how many pieces it has, and which is to be taken next, in one word, so that whoever
	// takes a piece, late or not, takes one of the work that there is.
	work atomic.Uint64
	busy sync.WaitGroup // pieces that are not done
}

const (
	pieceBits = 28
	pieces    = 1<<pieceBits - 1
)

func (c *workers) start() {
	c.wake = nil
	for range min(runtime.GOMAXPROCS(0)-1, maxHelpers) {
		wake := make(chan struct{}, 1)
		c.wake = append(c.wake, wake)
		c.helpers.Go(func() {
			for range wake {
				c.help()
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

// run does a task's pieces 0 to n-1, on several cores if there are at least enough of them. One run ends before the next begins.
func (c *workers) run(t task, n, enough int) {
	if n < enough || len(c.wake) == 0 {
		for i := range n {
			c.do[t](i)
		}
		return
	}
	c.busy.Add(n)
	c.work.Store(uint64(t)<<(2*pieceBits) | uint64(n)<<pieceBits)
	for _, wake := range c.wake {
		select {
		case wake <- struct{}{}:
		default: // it has not come yet for what was before
		}
	}
	c.help()
	c.busy.Wait()
}

// help takes pieces of the work at hand until there are none.
func (c *workers) help() {
	for {
		w := c.work.Add(1) - 1
		t, n, i := task(w>>(2*pieceBits)), int(w>>pieceBits&pieces), int(w&pieces)
		if i >= n {
			return
		}
		c.do[t](i)
		c.busy.Done()
	}
}
