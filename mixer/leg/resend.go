package leg

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"rendezvous/mixer/leg/congestion"
)

const (
	resendHistory = 512                    // packets of pictures that are remembered: 2 s of the best rung
	soundHistory  = 64                     // and of sound: 1.3 s
	mostRequested = 256                    // that wait to be sent again
	resendUntil   = 2 * time.Second        // a picture that is older is of no use,
	soundUntil    = 300 * time.Millisecond // and sound
	leastResend   = 20 * time.Millisecond
	mostResends   = 10 // of one packet, as libwebrtc asks
)

// resends sends again what a caller has lost and asks for (NACK, RFC 4585 section 6.2.1), while it is of use, and no sooner than the last time may have been
// answered: who asks each 40 ms for what stands in a queue would have it filled with the same. Pictures are paced as others are, and none of what the path has
// been found not to carry is sent. Payloads are not copied: they are the bus's and the ladder's, which nobody writes to.
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
	cut         uint64    // sender.cut then
	first, last time.Time // when it was sent, and sent again; zero: it was not
	resent      int
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

// remember keeps a packet that was sent, among so many, a power of two.
func (r *resends) remember(p sentPacket, history int) {
	if r.sent == nil {
		r.sent = make([]sentPacket, history)
	}
	p.used = true
	r.sent[int(p.seq)%len(r.sent)] = p
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
func (r *resends) due(seq uint16, cut uint64, pause, until time.Duration, now time.Time) *sentPacket {
	if r.sent == nil {
		return nil
	}
	p := &r.sent[int(seq)%len(r.sent)]
	if !p.used || p.seq != seq || p.cut != cut || now.Sub(p.first) > until || now.Sub(p.last) < pause || p.resent >= mostResends {
		return nil
	}
	return p
}

// answerTime is how long it takes until a packet that is sent now can be missed, or is not asked for any more.
func (s *sender) answerTime() time.Duration {
	trip := s.leg.roundTrip()
	if video := s.leg.video.Load(); video != nil {
		state := video.path().State()
		trip = max(trip, state.RoundTrip+state.Queue)
	}
	return max(leastResend, trip*3/4)
}

// resend sends pictures again as the pace allows, and returns how long to wait for the rest, 0 if there is none.
func (s *sender) resend(out *Stream, pace int, now time.Time) time.Duration {
	r := &out.out.resends
	r.take()
	if len(r.work) == 0 {
		return 0
	}
	pause := s.answerTime()
	for len(r.work) > 0 {
		if s.nextSend.After(now.Add(paceAhead)) {
			return s.nextSend.Sub(now)
		}
		if p := r.due(r.pop(), s.cut.Load(), pause, resendUntil, now); p != nil {
			s.nextSend = s.nextSend.Add(airtime(s.again(out, p, now), pace))
		}
	}
	return 0
}

// resendSound sends sound again.
func (s *sender) resendSound(out *Stream, now time.Time) {
	r := &out.out.resends
	r.take()
	if len(r.work) == 0 {
		return
	}
	pause := s.answerTime()
	for len(r.work) > 0 {
		if p := r.due(r.pop(), 0, pause, soundUntil, now); p != nil {
			s.again(out, p, now)
		}
	}
}

// pop takes the oldest of what is asked for, of which there is some.
func (r *resends) pop() uint16 {
	seq := r.work[0]
	r.work = append(r.work[:0], r.work[1:]...)
	return seq
}

// again sends a packet once more, and returns how many bytes it has on the wire.
func (s *sender) again(out *Stream, p *sentPacket, now time.Time) int {
	p.last = now
	p.resent++
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
	} else {
		s.leg.metrics.resent.Inc()
		if out.flow.Load() != nil {
			s.leg.reports.Again(headerBytes - 8 + len(payload))
		}
	}
	return headerBytes + len(payload) + congestion.Overhead
}
