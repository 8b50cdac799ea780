package mux

import (
	"sync"
	"time"
)

// deadline closes a channel when its time comes, and renews it when moved.
type deadline struct {
	mu    sync.Mutex // guards the rest
	timer *time.Timer
	past  chan struct{} // closed once the time has come
}

func newDeadline() *deadline { return &deadline{past: make(chan struct{})} }

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.past // it fires or has fired
	}
	d.timer = nil
	over := false
	select {
	case <-d.past:
		over = true
	default:
	}
	if t.IsZero() {
		if over {
			d.past = make(chan struct{})
		}
		return
	}
	if wait := time.Until(t); wait > 0 {
		if over {
			d.past = make(chan struct{})
		}
		past := d.past
		d.timer = time.AfterFunc(wait, func() { close(past) })
		return
	}
	if !over {
		close(d.past)
	}
}

func (d *deadline) done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.past
}
