package leg

import (
	"sync"
	"time"

	"rendezvous/mixer/av"
)

// maxHeld is how many decoded pictures wait to be shown at most: 400 ms at 30 a second, and some.
const maxHeld = 16

// newest is the newest decoded picture of a stream that is due, with those behind it that are not yet.
type newest struct {
	mu     sync.Mutex // guards all
	pic    *av.Picture
	serial uint64
	since  time.Time // when there was a picture after none
	ready  time.Time // when pic could be shown first
	held   []heldPicture

	taken uint64        // serial of the picture that was taken last
	wait  time.Duration // from when a picture is ready until it is taken, averaged
}

type heldPicture struct {
	pic *av.Picture
	due time.Time // not before it was there
}

// set hands a picture over, to be shown from due on, which may have been.
func (n *newest) set(p *av.Picture, due, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if due.Before(now) {
		due = now
	}
	n.held = append(n.held, heldPicture{p, due})
	n.promote(now)
	if len(n.held) > maxHeld {
		n.show(1)
	}
}

// promote shows what is due; mu is held.
func (n *newest) promote(now time.Time) {
	due := 0
	for i, h := range n.held {
		if !h.due.After(now) {
			due = i + 1 // and what was before it, however late it was to be
		}
	}
	n.show(due)
}

// show makes the last of so many held pictures the newest; mu is held.
func (n *newest) show(count int) {
	if count == 0 {
		return
	}
	if n.pic == nil {
		n.since = time.Now()
	} else {
		n.pic.Release()
	}
	for _, h := range n.held[:count-1] {
		h.pic.Release()
	}
	n.pic, n.ready = n.held[count-1].pic, n.held[count-1].due
	n.serial += uint64(count)
	rest := copy(n.held, n.held[count:])
	clear(n.held[rest:])
	n.held = n.held[:rest]
}

func (n *newest) get(now time.Time) (*av.Picture, uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.promote(now)
	if n.pic == nil {
		return nil, n.serial
	}
	if n.serial != n.taken {
		if n.taken == 0 {
			n.wait = canvasWait
		}
		n.taken = n.serial
		n.wait += (min(max(0, now.Sub(n.ready)), maxHold) - n.wait) / 16
	}
	return n.pic.Retain(), n.serial
}

// times are when the newest picture was ready to be shown, zero if there is none, and how long pictures have lately
// waited to be taken from then on.
func (n *newest) times() (ready time.Time, wait time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	wait = canvasWait
	if n.taken != 0 {
		wait = n.wait
	}
	if n.pic == nil {
		return time.Time{}, wait
	}
	return n.ready, wait
}

func (n *newest) begun() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pic == nil {
		return time.Time{}
	}
	return n.since
}

func (n *newest) clear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pic != nil {
		n.pic.Release()
		n.pic = nil
	}
	for _, h := range n.held {
		h.pic.Release()
	}
	clear(n.held)
	n.held = n.held[:0]
}
