package leg

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
)

const (
	startBitrate = 2_500_000 // bit/s believed of a path nothing is known of
	minBitrate   = 60_000
	maxBitrate   = 8_000_000
	rembLifetime = 8 * time.Second
)

// network is what is known of the path to one caller, for one stream.
type network struct {
	mu       sync.Mutex // guards all below
	estimate func() int // of the door's congestion controller, or nil
	limit    int        // the peer's own, 0 for none
	byRemb   int
	rembAt   time.Time
	byLoss   int
	loss     float64 // fraction last reported
}

func (n *network) init(m Media) {
	n.estimate = m.Estimate
	n.limit = m.MaxSendBitrate
	n.byLoss = startBitrate
}

func (n *network) remb(bitrate int, now time.Time) {
	n.mu.Lock()
	n.byRemb, n.rembAt = bitrate, now
	n.mu.Unlock()
}

// reports follows the loss that the peer sees: a little up while there is none, down
// by half the loss when there is much (the rule of draft-ietf-rmcat-gcc §6).
func (n *network) reports(reports []rtcp.ReceptionReport, ssrc uint32) {
	for _, r := range reports {
		if ssrc != 0 && r.SSRC != ssrc {
			continue
		}
		n.mu.Lock()
		n.loss = float64(r.FractionLost) / 256
		switch {
		case n.loss > 0.10:
			n.byLoss = max(minBitrate, int(float64(n.byLoss)*(1-n.loss/2)))
		case n.loss < 0.02:
			n.byLoss = min(maxBitrate, n.byLoss+n.byLoss/20)
		}
		n.mu.Unlock()
	}
}

// available is what the path to the caller carries, in bit/s. measured says that somebody
// estimates delay, so that the value can be believed when it is higher than what is sent.
func (n *network) available(now time.Time) (bitrate int, measured bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	bitrate = n.byLoss
	if n.estimate != nil {
		if e := n.estimate(); e > 0 {
			bitrate, measured = e, true
		}
	}
	if n.byRemb > 0 && now.Sub(n.rembAt) < rembLifetime {
		bitrate = min(bitrate, n.byRemb)
	}
	if n.limit > 0 {
		bitrate = min(bitrate, n.limit)
	}
	return max(bitrate, minBitrate), measured
}

// lossPercent is the loss that the peer last reported.
func (n *network) lossPercent() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return int(n.loss*100 + 0.5)
}
