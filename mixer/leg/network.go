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
	// The longest pause between two reports by RFC 3550 §6.2 at 5 s mean, and one lost.
	lossLifetime = 16 * time.Second
	heavyLoss    = 10 // percent
)

// network is what is known of the path to one caller, for one stream, from the reports of a peer that gives no feedback on each packet.
type network struct {
	limit int // the peer's own, 0 for none

	mu       sync.Mutex // guards all below
	sending  int        // what is sent on purpose, 0 if not known
	byRemb   int
	rembAt   time.Time
	byLoss   int
	loss     float64 // fraction last reported
	lossAt   time.Time
	expected float64 // loss to be prepared for: rises at once, falls slowly
}

func (n *network) init(m Media) {
	n.limit = m.MaxSendBitrate
	n.byLoss = startBitrate
}

func (n *network) remb(bitrate float32, now time.Time) {
	n.mu.Lock()
	n.byRemb, n.rembAt = int(min(bitrate, 1e9)), now
	n.mu.Unlock()
}

// reports follows the loss that the peer sees. Only the fraction of each report counts: the
// cumulative number may go down (RFC 3550 §6.4.1) and is not needed.
func (n *network) reports(reports []rtcp.ReceptionReport, ssrc uint32, now time.Time) {
	for _, r := range reports {
		if ssrc != 0 && r.SSRC != ssrc {
			continue
		}
		n.mu.Lock()
		n.loss, n.lossAt = float64(r.FractionLost)/256, now
		n.expected = max(n.loss, n.expected*0.8)
		switch {
		case n.loss*100 > heavyLoss: // by half the loss, as draft-ietf-rmcat-gcc §6, of what was sent
			if n.sending > 0 {
				n.byLoss = min(n.byLoss, n.sending)
			}
			n.byLoss = max(minBitrate, int(float64(n.byLoss)*(1-n.loss/2)))
		case n.loss < 0.02:
			n.byLoss = min(maxBitrate, n.byLoss+n.byLoss/20)
		}
		n.mu.Unlock()
	}
}

// send notes the bit rate that is sent from now on, on the belief that the path carries it.
func (n *network) send(bitrate int) {
	n.mu.Lock()
	if bitrate > n.sending {
		n.byLoss = max(n.byLoss, bitrate)
	}
	n.sending = bitrate
	n.mu.Unlock()
}

// available is what the path to the caller carries, in bit/s. measured says that somebody
// estimates it; loss alone tells only that what is sent gets through.
func (n *network) available(now time.Time) (bitrate int, measured bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	bitrate = n.byLoss
	if n.byRemb > 0 && now.Sub(n.rembAt) < rembLifetime {
		bitrate, measured = min(bitrate, n.byRemb), true
	}
	return max(bitrate, minBitrate), measured
}

// pace is how fast packets may leave, in bit/s: faster than the path's mean, so that a key
// frame does not take long, but no burst.
func (n *network) pace(now time.Time) int {
	bitrate, _ := n.available(now)
	if n.limit > 0 {
		bitrate = min(bitrate, n.limit)
	}
	return max(bitrate*3/2, 4*minBitrate)
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
