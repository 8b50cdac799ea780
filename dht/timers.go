package dht

import (
	"container/heap"
	"time"
)

// timer is a call that the engine makes at a time, unless stopped.
type timer struct {
	at    time.Time
	call  func()
	index int // in the heap; -1 when not in it
}

// timers is the engine's queue of calls to make, the earliest first. The engine's goroutine owns it.
type timers struct{ queue timerHeap }

// at arranges a call.
func (t *timers) at(when time.Time, call func()) *timer {
	tm := &timer{at: when, call: call}
	heap.Push(&t.queue, tm)
	return tm
}

// stop forgets a call that was not made yet; nil and past ones are fine.
func (t *timers) stop(tm *timer) {
	if tm != nil && tm.index >= 0 {
		heap.Remove(&t.queue, tm.index)
	}
}

// move changes when a call is made; one that was made is arranged again.
func (t *timers) move(tm *timer, when time.Time) {
	tm.at = when
	if tm.index >= 0 {
		heap.Fix(&t.queue, tm.index)
	} else {
		heap.Push(&t.queue, tm)
	}
}

// run makes the calls that are due.
func (t *timers) run(now time.Time) {
	for len(t.queue) > 0 && !t.queue[0].at.After(now) {
		heap.Pop(&t.queue).(*timer).call()
	}
}

// next returns when the next call is due.
func (t *timers) next() (time.Time, bool) {
	if len(t.queue) == 0 {
		return time.Time{}, false
	}
	return t.queue[0].at, true
}

type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	tm := x.(*timer)
	tm.index = len(*h)
	*h = append(*h, tm)
}

func (h *timerHeap) Pop() any {
	old := *h
	tm := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	tm.index = -1
	return tm
}
