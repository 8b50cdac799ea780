package connection

import (
	"context"
	"time"
)

const (
	// lostFor is how long the goodbye to a peer that fell silent is repeated.
	lostFor = 15 * time.Minute
	// maxLost bounds such connections.
	maxLost = 256
)

// abandon keeps the wire of a session that is about to end because its peer is
// silent.
func (e *Endpoint) abandon(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed && len(e.lost) < maxLost && s.wire.Abandon(lostFor) {
		e.lost[s] = true
	}
}

// mourn waits until the peer of an abandoned session that has ended knows that
// it has.
func (e *Endpoint) mourn(s *session) {
	e.mu.Lock()
	lost := e.lost[s]
	e.mu.Unlock()
	if !lost {
		return
	}
	defer context.AfterFunc(e.ctx, s.wire.Drop)()
	s.wire.Await(lostFor)
	e.mu.Lock()
	delete(e.lost, s)
	e.mu.Unlock()
}
