package rtc

import (
	"time"

	"github.com/pion/rtcp"
)

// receivedWindow is how many packets at most lie between two reports of a stream: 8192 in a second are 80 Mbit/s.
const receivedWindow = 8192

// received counts what has come of one of the peer's streams, for our receiver reports (RFC 3550 section 6.4.1). A packet
// that is sent again before the report is not lost.
type received struct {
	clockRate   float64
	transportCC uint8 // id of the header extension with transport-wide numbers, 0: none

	begun     bool
	cycles    uint16
	highest   uint16
	reported  uint16 // highest of the report before
	got       [receivedWindow / 64]uint64
	timestamp uint32    // of the packet before
	at        time.Time // and when that came
	jitter    float64   // in units of the clock
	lost      uint32
	sent      uint32    // the middle of the newest sender report's NTP time
	sentAt    time.Time // and when that came
}

// packet counts one.
func (r *received) packet(seq uint16, timestamp uint32, now time.Time) {
	if !r.begun {
		r.begun, r.highest, r.reported = true, seq, seq-1
	} else {
		if ahead := int16(seq - r.highest); ahead > 0 {
			if seq < r.highest {
				r.cycles++
			}
			if ahead >= receivedWindow {
				clear(r.got[:])
			} else {
				for i := r.highest + 1; i != seq; i++ {
					r.got[i%receivedWindow/64] &^= 1 << (i % 64)
				}
			}
			r.highest = seq
		}
		// RFC 3550 section A.8. The difference of two timestamps wraps around with them.
		d := now.Sub(r.at).Seconds()*r.clockRate - float64(int32(timestamp-r.timestamp))
		r.jitter += (max(d, -d) - r.jitter) / 16
	}
	r.got[seq%receivedWindow/64] |= 1 << (seq % 64)
	r.timestamp, r.at = timestamp, now
}

// senderReport notes that one has come.
func (r *received) senderReport(ntp uint64, now time.Time) { r.sent, r.sentAt = uint32(ntp>>16), now }

// report is what is said of the stream since the last time.
func (r *received) report(ssrc uint32, now time.Time) rtcp.ReceptionReport {
	expected, lost := r.highest-r.reported, uint32(0)
	for i := r.reported + 1; i != r.highest+1; i++ {
		if r.got[i%receivedWindow/64]&(1<<(i%64)) == 0 {
			lost++
		}
	}
	const most = 1<<24 - 1 // of a number of 24 bits
	r.lost = min(r.lost+lost, most)
	b := rtcp.ReceptionReport{
		SSRC: ssrc, LastSequenceNumber: uint32(r.cycles)<<16 | uint32(r.highest), TotalLost: r.lost,
		LastSenderReport: r.sent, Jitter: uint32(r.jitter),
	}
	if expected > 0 {
		b.FractionLost = uint8(lost * 256 / uint32(expected))
	}
	if !r.sentAt.IsZero() {
		b.Delay = uint32(now.Sub(r.sentAt).Seconds() * 65536)
	}
	r.reported = r.highest
	return b
}
