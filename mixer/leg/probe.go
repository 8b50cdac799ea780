package leg

import (
	"time"

	"github.com/pion/rtp"

	"rendezvous/mixer/leg/congestion"
)

const (
	maxPadding    = 255                    // bytes of a packet of padding alone (RFC 3550 section 5.1)
	probeAhead    = 3 * time.Millisecond   // of a probe's packets leave back to back
	stallInterval = 200 * time.Millisecond // between packets that ask whether the caller hears again
)

// probe is a cluster of packets of padding that is being sent (congestion.Controller.Probe).
type probe struct {
	congestion.Probe
	of    *congestion.Controller // nil: there is none
	until time.Time
	next  time.Time
}

// sendProbe begins or goes on with a probe, if there is one to be sent, and returns how long to wait for the rest of it.
func (s *sender) sendProbe(out *Stream, c *congestion.Controller, now time.Time) time.Duration {
	p := &s.probe
	if p.of != c {
		s.endProbe()
	}
	if p.of == nil {
		if !out.out.started { // nothing to put padding behind
			return 0
		}
		asked, due := c.Probe()
		if !due {
			return 0
		}
		*p = probe{Probe: asked, of: c, until: now.Add(asked.Duration), next: now}
	}
	for now.Before(p.until) {
		if p.next.After(now.Add(probeAhead)) {
			return max(p.next.Sub(now)-probeAhead, time.Millisecond)
		}
		p.next = p.next.Add(airtime(s.pad(out, p.Packet), p.Bitrate))
	}
	s.endProbe()
	return 0
}

// endProbe says that no more of it is sent.
func (s *sender) endProbe() {
	if s.probe.of != nil {
		s.probe.of.Probed()
		s.probe = probe{}
	}
}

// pad sends a packet of padding alone, of about so many bytes on the wire, and returns how many it has.
func (s *sender) pad(out *Stream, wire int) int {
	to := present(out)
	if !out.out.started || to.formats.send.ClockRate == 0 {
		return wire
	}
	n := min(max(wire-headerBytes-congestion.Overhead, 1), maxPadding)
	s.padding[n-1] = byte(n)
	s.header = rtp.Header{
		Version: 2, Padding: true, PayloadType: to.formats.send.PayloadType,
		SequenceNumber: out.out.seq, Timestamp: out.out.lastTS, SSRC: out.media.SSRC,
	}
	now := s.leg.cfg.Now()
	out.out.resends.remember(sentPacket{
		seq: out.out.seq, payloadType: s.header.PayloadType, padding: true, timestamp: s.header.Timestamp, cut: s.cut.Load(), first: now,
	}, resendHistory)
	out.out.seq++
	err := out.media.Transport.WriteRTP(&s.header, s.padding[:n])
	s.padding[n-1] = 0
	if err != nil {
		out.metrics.writeErrors.Inc()
	} else {
		out.metrics.packetsOut.Inc()
	}
	return n + headerBytes + congestion.Overhead
}
