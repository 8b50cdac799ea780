package mux

import (
	"fmt"
	"io"
	"os"
	"time"
)

// queue leaves a whole object to the control goroutine, or to who writes next, so that the reader
// never waits for the connection.
func (s *Session) queue(object []byte) {
	select {
	case s.controls <- object:
		select {
		case s.waiting <- struct{}{}:
		default:
		}
	default:
		s.cfg.Dropped(DroppedFlood)
		s.fail(fmt.Errorf("%w: answers are not read", ErrProtocol))
	}
}

// sendControls writes what was queued, and looks after a silent peer.
func (s *Session) sendControls() {
	defer s.wg.Done()
	probe := time.NewTicker(s.cfg.ProbeEvery / 3)
	defer probe.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-probe.C:
			s.doubt(s.cfg.ProbeEvery)
		case <-s.waiting:
			if s.acquire(nil, nil) != nil {
				return
			}
			_ = s.sendQueued() // ends the session if it fails
			<-s.turn
		}
	}
}

// acquire waits for our turn to write.
func (s *Session) acquire(gone, late <-chan struct{}) error {
	select {
	case <-gone:
		return io.ErrClosedPipe
	case <-late:
		return os.ErrDeadlineExceeded
	case <-s.done:
		return s.Err()
	default:
	}
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-gone:
		return io.ErrClosedPipe
	case <-late:
		return os.ErrDeadlineExceeded
	case <-s.done:
		return s.Err()
	}
}

// write sends data on a channel, unless the channel is gone or it is too late.
func (s *Session) write(number uint16, data []byte, gone, late <-chan struct{}) error {
	if err := s.acquire(gone, late); err != nil {
		return err
	}
	defer func() { <-s.turn }()
	if err := s.sendQueued(); err != nil {
		return err
	}
	s.doubt(s.cfg.DoubtAfter)
	s.wbuf = appendObject(s.wbuf[:0], number, data)
	return s.send(s.wbuf)
}

// sendQueued writes what was queued; the caller has the turn. A daemon of 2023 gives an answer to its
// beacon 200 ms, and asks right before a call: what answers the call must not overtake it.
func (s *Session) sendQueued() error {
	for {
		select {
		case o := <-s.controls:
			if err := s.send(o); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// send writes a whole object; the caller has the turn.
func (s *Session) send(object []byte) error {
	s.conn.SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout))
	if _, err := s.conn.Write(object); err != nil {
		if s.end(fmt.Errorf("mux: writing: %w", err)) {
			s.conn.Close()
		}
		return err
	}
	return nil
}
