package leg

import (
	"sync"
	"time"

	"github.com/pion/rtcp"

	"rendezvous/mixer/leg/congestion"
)

const (
	startBitrate = 2_500_000 // bit/s believed of a path nothing is known of
	minBitrate   = 60_000
	maxBitrate   = 8_000_000
	// The longest pause between two reports by RFC 3550 §6.2 at 5 s mean, and one lost.
	lossLifetime = 16 * time.Second
	heavyLoss    = 10 // percent
	// A receiver that reports for so long has received packets of which it would have given feedback.
	feedbackPatience = 2 * time.Second
)

// controller is what is known of the path to a caller: by feedback on each packet (congestion.Controller), or by what a caller
// reports who gives none (congestion.Reports).
type controller interface {
	State() congestion.State
	Want(bitrate int)
}

// path is the controller of what is sent on a stream.
func (s *Stream) path() controller {
	if c := s.feedback(); c != nil {
		return c
	}
	return s.leg.reports
}

// feedback is the controller by feedback on each packet; nil where none was negotiated, or where it was and the peer reports without giving any.
func (s *Stream) feedback() *congestion.Controller {
	if s.silent.Load() {
		return nil
	}
	return s.media.Congestion
}

// notice takes that the peer has sent a receiver report: has there been feedback on packets beside it?
func (s *Stream) notice(now time.Time) {
	if s.media.Congestion == nil {
		return
	}
	state := s.media.Congestion.State()
	switch {
	case state.Known:
		s.silent.Store(false)
	case s.reported.IsZero():
		s.reported = now
	case now.Sub(s.reported) >= feedbackPatience && !s.silent.Load():
		s.log.Info("transport-wide feedback was negotiated, none comes: receiver reports count")
		s.leg.reports.Guess(state.Target)
		if s.flow.Load() == nil {
			s.flow.Store(s.leg.reports.Flow())
		}
		s.silent.Store(true)
	}
}

// network is the loss of one stream as the peer reports it.
type network struct {
	mu       sync.Mutex // guards all below
	loss     float64    // fraction last reported
	lossAt   time.Time
	expected float64 // loss to be prepared for: rises at once, falls slowly
}

// report follows the loss that the peer sees. Only the fraction of each report counts: the
// cumulative number may go down (RFC 3550 §6.4.1) and is not needed.
func (n *network) report(r rtcp.ReceptionReport, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss, n.lossAt = float64(r.FractionLost)/256, now
	n.expected = max(n.loss, n.expected*0.8)
}

// lossPercent is the loss that the peer last reported, and when; 0 if that is long ago.
func (n *network) lossPercent(now time.Time) (percent int, at time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Sub(n.lossAt) > lossLifetime {
		return 0, time.Time{}
	}
	return int(n.loss*100 + 0.5), n.lossAt
}

// expectedLoss is the loss to be prepared for, in percent.
func (n *network) expectedLoss(now time.Time) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Sub(n.lossAt) > lossLifetime {
		return 0
	}
	return int(n.expected*100 + 0.5)
}
