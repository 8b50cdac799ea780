package receive

import (
	"time"

	"github.com/pion/rtp"

	"rendezvous/mixer/audio/red"
)

// pushRedundant takes a packet that repeats earlier ones (RFC 2198): first its own sound, as if it had come alone, then
// what it repeats. A block has a timestamp but no number, and no level: the blocks are taken for those of the packets just
// before, and as loud as it.
func (r *Receiver) pushRedundant(h *rtp.Header, payload []byte, level int, arrival time.Time) {
	blocks, err := red.Split(r.blocks[:0], payload)
	if err != nil {
		r.malformed.Add(1)
		return
	}
	r.blocks = blocks
	last := len(blocks) - 1
	r.copyOf = *h
	r.copyOf.PayloadType = blocks[last].PayloadType
	r.push(&r.copyOf, blocks[last].Payload, level, arrival, false)
	for i, b := range blocks[:last] {
		r.copyOf.PayloadType, r.copyOf.SequenceNumber, r.copyOf.Timestamp = b.PayloadType, h.SequenceNumber-uint16(last-i), h.Timestamp-b.Offset
		r.push(&r.copyOf, b.Payload, level, arrival, true)
	}
	clear(r.blocks) // they are the caller's
}
