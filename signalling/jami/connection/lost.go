package connection

import (
	"context"
	"time"

	"rendezvous/dht/value"
)

const (
	// lostFor is how long the connection to a peer that fell silent is kept, to be
	// reset when there is a way to the peer again.
	lostFor = 15 * time.Minute
	// maxLost bounds such connections.
	maxLost = 256
)

// abandon keeps the wire of a session that is about to end because its peer is
// silent.
func (e *Endpoint) abandon(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed && len(e.lost) < maxLost && s.wire.Abandon() {
		e.lost[s] = true
	}
}

// mourn waits for a sign of life on the wire of an abandoned session that has
// ended, and resets it.
func (e *Endpoint) mourn(s *session) {
	e.mu.Lock()
	lost := e.lost[s]
	e.mu.Unlock()
	if !lost {
		return
	}
	defer context.AfterFunc(e.ctx, s.wire.Reset)()
	s.wire.Await(lostFor)
	e.mu.Lock()
	delete(e.lost, s)
	e.mu.Unlock()
}

// resetLost resets what was abandoned of a device: there is a way to it again,
// and it is to know before the new connection is used.
func (e *Endpoint) resetLost(device value.LongID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.lost {
		if s.peer.Device.Long == device {
			s.wire.Reset()
		}
	}
}
