package leg

import (
	"sync"
	"time"

	"rendezvous/mixer/av"
)

// newest is the newest decoded picture of a stream.
type newest struct {
	mu     sync.Mutex // guards all
	pic    *av.Picture
	serial uint64
	since  time.Time // when there was a picture after none
}

// set hands a picture over.
func (n *newest) set(p *av.Picture) {
	n.mu.Lock()
	old := n.pic
	if old == nil {
		n.since = time.Now()
	}
	n.pic = p
	n.serial++
	n.mu.Unlock()
	if old != nil {
		old.Release()
	}
}

func (n *newest) get() (*av.Picture, uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pic == nil {
		return nil, n.serial
	}
	return n.pic.Retain(), n.serial
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
	old := n.pic
	n.pic = nil
	n.mu.Unlock()
	if old != nil {
		old.Release()
	}
}
