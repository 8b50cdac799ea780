package leg

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"rendezvous/mixer/leg/congestion"
)

const (
	resendHistory = 512             // packets of pictures that are remembered: 2 s of the best rung
	mostRequested = 256             // that wait to be sent again
	resendUntil   = 2 * time.Second // what is older is of no use
	leastResend   = 20 * time.Millisecond
)

// resends sends again what a caller has lost of pictures and asks for (NACK, RFC 4585 section 6.2.1): paced as pictures are, for what was
// lost because the path is full would only fill it more, and none of what the path has been found not to carry. Payloads are not copied: they
// are the ladder's, which nobody writes to.
type resends struct {
	mu    sync.Mutex // guards asked
	asked []uint16   // the oldest first

	// Owned by the sender's goroutine.
	sent []sentPacket // a ring, by the low bits of sequence numbers; nil before the first packet
	work []uint16     // taken out of asked
}

// sentPacket is one packet of a picture as it was sent.
type sentPacket struct {
	seq         uint16
	payloadType uint8
	marker      bool
	padding     bool
	used        bool
	timestamp   uint32
	payload     []byte
	cut         uint64 // sender.cut then
	first, last time.Time
}

// request notes what a caller asks for, and reports whether that is anything. What is too much is left to the next time that they ask.
func (r *resends) request(n *rtcp.TransportLayerNack) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range n.Nacks {
		n.Nacks[i].Range(func(seq uint16) bool {
			if len(r.asked) == mostRequested {
				return false
			}
			r.asked = append(r.asked, seq)
			return true
		})
	}
	return len(r.asked) > 0
}

// remember keeps a packet that was sent.
func (r *resends) remember(p sentPacket) {
	if r.sent == nil {
		r.sent = make([]sentPacket, resendHistory)
	}
	p.used = true
	r.sent[p.seq%resendHistory] = p
}

// take moves what was asked for to the sender's side.
func (r *resends) take() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, seq := range r.asked {
		if len(r.work) < mostRequested {
			r.work = append(r.work, seq)
		}
	}
	r.asked = r.asked[:0]
}

// drop forgets what was asked for.
func (r *resends) drop() {
	r.take()
	r.work = r.work[:0]
}

// due is the packet to be sent again of a number, nil if there is none that is of use.
func (r *resends) due(seq uint16, cut uint64, pause time.Duration, now time.Time) *sentPacket {
	if r.sent == nil {
		return nil
	}
	p := &r.sent[seq%resendHistory]
	if !p.used || p.seq != seq || p.cut != cut || now.Sub(p.first) > resendUntil || now.Sub(p.last) < pause {
		return nil
	}
	return p
}

// resend sends again what the pace allows, and returns how long to wait for the rest, 0 if there is none.
func (s *sender) resend(out *Stream, pace int, now time.Time) time.Duration {
	r := &out.out.resends
	r.take()
	pause := max(leastResend, s.leg.roundTrip()*3/4)
	for len(r.work) > 0 {
		if s.nextSend.After(now.Add(paceAhead)) {
			return s.nextSend.Sub(now)
		}
		seq := r.work[0]
		r.work = append(r.work[:0], r.work[1:]...)
		p := r.due(seq, s.cut.Load(), pause, now)
		if p == nil {
			continue
		}
		p.last = now
		s.header = rtp.Header{
			Version: 2, Marker: p.marker, Padding: p.padding, PayloadType: p.payloadType,
			SequenceNumber: p.seq, Timestamp: p.timestamp, SSRC: out.media.SSRC,
		}
		payload := p.payload
		if p.padding {
			s.padding[0] = 1
			payload = s.padding[:1]
		}
		err := out.media.Transport.WriteRTP(&s.header, payload)
		s.padding[0] = 0
		if err != nil {
			out.metrics.writeErrors.Inc()
			continue
		}
		if out.flow != nil {
			s.leg.reports.Again(headerBytes - 8 + len(payload))
		}
		s.leg.metrics.resent.Inc()
		s.nextSend = s.nextSend.Add(airtime(headerBytes+len(payload)+congestion.Overhead, pace))
	}
	return 0
}
