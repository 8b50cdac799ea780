package congestion

import (
	"slices"
	"time"

	"github.com/pion/rtcp"
)

// How many packets are remembered: as many as are without an answer, within these bounds. 4096 are some 10 s at 4 Mb/s, 128 more than a
// second of sound. Powers of two, so that numbers wrap around with them.
const leastHistory, mostHistory = 128, 4096

// sentPacket is one packet that has left.
type sentPacket struct {
	number  int64         // transport-wide, without wrapping around
	at      time.Duration // when it left
	size    int           // bytes on the wire
	before  int64         // bytes that had left before it
	probe   int           // cluster that it belongs to, 0 for none
	stalled bool          // it left while nothing was heard: its loss says nothing
	state   fate
}

type fate uint8

const (
	unknown fate = iota
	missing
	arrived
)

// history remembers what was sent until the receiver has said what became of it.
type history struct {
	ring  []sentPacket // by the low bits of numbers; nil before the first packet
	next  int64        // number of the packet that leaves next, one above the highest so far
	begun bool
	bytes int64 // sent in all

	resolved int64 // all below it have been told of
	cycles   int64 // of the 24 bits that feedback's reference time has
	lastRef  uint32
	hasRef   bool
	gap      int           // packets that are missing since one arrived
	gapFrom  time.Duration // when the first of them left
	acks     []ack         // of one feedback; reused
}

// ack is what a feedback says of one packet that has arrived.
type ack struct {
	*sentPacket
	arrival time.Duration // by the receiver's clock, from some beginning of its own
}

// add notes a packet that leaves.
func (h *history) add(seq uint16, size int, now time.Duration, probe int, stalled bool) {
	n := h.unwrap(seq)
	if !h.begun {
		h.begun, h.resolved = true, n
	}
	if h.ring == nil || n-h.resolved >= int64(len(h.ring)) && len(h.ring) < mostHistory {
		h.grow()
	}
	h.ring[n&int64(len(h.ring)-1)] = sentPacket{number: n, at: now, size: size, before: h.bytes, probe: probe, stalled: stalled}
	h.bytes += int64(size)
	h.next = max(h.next, n+1)
}

// unwrap finds the number that seq stands for, near to the one that is next.
func (h *history) unwrap(seq uint16) int64 {
	if !h.begun {
		return 1<<16 + int64(seq) // so that what is earlier is not negative
	}
	return h.next + int64(int16(seq-uint16(h.next)))
}

// get is the packet of a number, nil if it is not remembered.
func (h *history) get(n int64) *sentPacket {
	if !h.begun || n < 0 {
		return nil
	}
	p := &h.ring[n&int64(len(h.ring)-1)]
	if p.number != n || p.size == 0 {
		return nil
	}
	return p
}

// grow makes room for twice as many.
func (h *history) grow() {
	larger := make([]sentPacket, max(leastHistory, 2*len(h.ring)))
	for _, p := range h.ring {
		larger[p.number&int64(len(larger)-1)] = p
	}
	h.ring = larger
}

// inFlight is how many bytes have left of whose fate nothing is known.
func (h *history) inFlight() int64 {
	if p := h.get(h.resolved); p != nil {
		return h.bytes - p.before
	}
	return 0
}

// oldest is the packet that is longest without an answer, nil if all are answered.
func (h *history) oldest() *sentPacket {
	if h.resolved >= h.next {
		return nil
	}
	return h.get(h.resolved)
}

// outage is for how long nothing at all has arrived where that is not called loss: a path that is too narrow, or that loses, lets
// something through in such a time.
const outage = 100 * time.Millisecond

// read takes a feedback. It returns what has newly arrived, in the order of arrival, and how many packets were newly told of and
// how many of these are missing, those that left in a stall or an outage not counted. A packet that was missing may arrive after all; it
// is then taken off: lost may be negative. The slice is valid until the next call.
func (h *history) read(fb *rtcp.TransportLayerCC) (acks []ack, told, lost int) {
	h.acks = h.acks[:0]
	const refUnit, refCycle = 64 * time.Millisecond, 1 << 24
	if h.hasRef {
		switch d := int32(fb.ReferenceTime) - int32(h.lastRef); {
		case d < -refCycle/2:
			h.cycles++
		case d > refCycle/2:
			h.cycles--
		}
	}
	h.lastRef, h.hasRef = fb.ReferenceTime, true
	at := time.Duration(h.cycles*refCycle+int64(fb.ReferenceTime)) * refUnit
	first := h.unwrap(fb.BaseSequenceNumber)
	deltas := fb.RecvDeltas
	i := int64(0)
	count := int64(fb.PacketStatusCount)
	note := func(symbol uint16) bool {
		if i >= count {
			return false
		}
		p := h.get(first + i)
		i++
		got := symbol == rtcp.TypeTCCPacketReceivedSmallDelta || symbol == rtcp.TypeTCCPacketReceivedLargeDelta
		if got {
			if len(deltas) == 0 {
				return false // it says less than it promises
			}
			at += time.Duration(deltas[0].Delta) * time.Microsecond
			deltas = deltas[1:]
		}
		if p == nil || p.state == arrived {
			return true
		}
		switch {
		case got:
			if p.state == missing {
				lost--
			} else if !p.stalled {
				told++
			}
			if p.at-h.gapFrom < outage {
				told, lost = told+h.gap, lost+h.gap
			}
			h.gap = 0
			p.state = arrived
			h.acks = append(h.acks, ack{p, at})
		case p.state == unknown:
			p.state = missing
			if h.gap == 0 {
				h.gapFrom = p.at
			}
			if !p.stalled {
				h.gap++
			}
		}
		return true
	}
	for _, chunk := range fb.PacketChunks {
		switch c := chunk.(type) {
		case *rtcp.RunLengthChunk:
			for range c.RunLength {
				if !note(c.PacketStatusSymbol) {
					break
				}
			}
		case *rtcp.StatusVectorChunk:
			for _, s := range c.SymbolList {
				if !note(s) {
					break
				}
			}
		}
	}
	h.resolved = max(h.resolved, min(first+i, h.next))
	slices.SortStableFunc(h.acks, func(a, b ack) int { return int(a.arrival - b.arrival) })
	return h.acks, told, lost
}
