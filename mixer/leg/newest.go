package leg

import (
	"sync"

	"rendezvous/mixer/av"
)

// newest is the newest decoded picture of a stream.
type newest struct {
	mu     sync.Mutex // guards all
	pic    *av.Picture
	serial uint64
}

// set hands a picture over.
func (n *newest) set(p *av.Picture) {
	n.mu.Lock()
	old := n.pic
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

func (n *newest) clear() {
	n.mu.Lock()
	old := n.pic
	n.pic = nil
	n.mu.Unlock()
	if old != nil {
		old.Release()
	}
}
