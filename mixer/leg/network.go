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
)

// controller is what is known of the path to a caller: by feedback on each packet (congestion.Controller), or by what a caller
// reports who gives none (congestion.Reports).
type controller interface {
	State() congestion.State
	Want(bitrate int)
}

// path is the controller of what is sent on a stream.
func (s *Stream) path() controller {
	if c := s.media.Congestion; c != nil {
		return c
	}
	return s.leg.reports
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
