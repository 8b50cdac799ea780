package mux

import (
	"context"
	"time"
)

// Silence is how long nothing came from the peer.
func (s *Session) Silence() time.Duration { return time.Since(s.began) - time.Duration(s.heard.Load()) }

// Ping asks the peer whether it is there. Without a sign of life within BeaconWait the
// session is ended, and the error is ErrBeacon; it is ctx's if that ends before, or why
// the session has ended. Peers that never told a version do not know beacons and are
// taken to be there.
func (s *Session) Ping(ctx context.Context) error { return s.ping(ctx, s.cfg.BeaconWait) }

func (s *Session) ping(ctx context.Context, wait time.Duration) error {
	select {
	case s.pinging <- struct{}{}:
		defer func() { <-s.pinging }()
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return s.Err()
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-s.ready:
	case <-t.C:
		return nil
	case <-s.done:
		return s.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.version.Load() < 1 {
		return nil
	}
	select {
	case <-s.pong: // of an earlier Ping that gave up
	default:
	}
	heard := s.heard.Load()
	yes := true
	s.queue(appendObject(nil, protocolChannel, protocol{beacon: &yes}.append(nil)))
	select {
	case <-s.pong:
		return nil
	case <-t.C:
		if s.heard.Load() != heard {
			return nil // it is there, and busy
		}
		s.cfg.Unanswered()
		s.fail(ErrBeacon)
		return ErrBeacon
	case <-s.done:
		return s.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// doubt asks a peer that has been silent for a sign of life, in the background,
// unless that is being done. What is written into a connection that was cut
// would else seem sent until the kernel gives up, a minute or more.
func (s *Session) doubt(silence time.Duration) {
	if s.Silence() < silence || !s.doubted.CompareAndSwap(false, true) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.wg.Go(func() {
		_ = s.ping(context.Background(), s.cfg.DoubtWait) // ends the session if there is none
		s.doubted.Store(false)
	})
}
