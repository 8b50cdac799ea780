package leg

import (
	"time"

	"github.com/pion/rtp"
)

const (
	reorderSlots   = 512 // packets kept, a power of two; 1 s of 4 Mbit/s
	lateWindow     = 4 * reorderSlots
	maxLate        = 64 // late packets in a row, after which it is the sender who went back
	maxPicture     = 4 << 20
	maxPacketBytes = 1500
)

// assembler puts the RTP packets of one video stream back in order and cuts them
// into pictures. It waits for a missing packet as long as a retransmission may
// take; then it skips to the next picture and says that the reference is lost.
// Not safe for concurrent use.
type assembler struct {
	depack depacketiser
	wait   time.Duration // how long a gap is waited for

	slots   []slot // by sequence number; made with the first packet, as many streams never get one
	started bool
	next    uint16 // next sequence number wanted
	highest uint16 // highest received
	late    int    // packets behind next in a row

	picture   []byte
	timestamp uint32
	open      bool // picture holds packets of timestamp
	broken    bool // a packet of the open picture is missing or unreadable
	hole      bool // packets before the next one are missing
	lost      bool // something was lost since the last picture handed out

	discarded, lostPackets, malformed uint64
}

type slot struct {
	used      bool
	marker    bool
	seq       uint16
	at        time.Time // of arrival
	timestamp uint32
	n         int
	data      [maxPacketBytes]byte
}

// picture is one whole coded picture. Data is valid until the assembler is used again.
type picture struct {
	data      []byte
	timestamp uint32
	key       bool
	afterLoss bool // packets before it are missing
}

// reset forgets everything, for a new SSRC.
func (a *assembler) reset() {
	for i := range a.slots {
		a.slots[i].used = false
	}
	a.started, a.open, a.broken, a.hole = false, false, false, false
	a.picture = a.picture[:0]
	a.lost = true
}

// begin starts at a packet, forgetting what was before.
func (a *assembler) begin(seq uint16) {
	if a.started {
		a.reset()
	}
	if a.slots == nil {
		a.slots = make([]slot, reorderSlots)
	}
	a.started, a.late = true, 0
	a.next, a.highest = seq, seq-1
}

// push takes one packet and calls deliver for each picture it completes.
func (a *assembler) push(h *rtp.Header, payload []byte, now time.Time, deliver func(picture)) {
	if len(payload) > maxPacketBytes {
		a.malformed++
		return
	}
	if !a.started {
		a.begin(h.SequenceNumber)
	}
	switch ahead := int(int16(h.SequenceNumber - a.next)); {
	case ahead < 0 && ahead > -lateWindow && a.late < maxLate:
		a.late++
		a.discarded++ // a duplicate, or a repetition that nobody waits for any more
		return
	case ahead < 0 || ahead >= reorderSlots: // the sender restarted
		a.begin(h.SequenceNumber)
	}
	a.late = 0
	s := &a.slots[h.SequenceNumber%reorderSlots]
	if s.used && s.seq == h.SequenceNumber {
		a.discarded++
		return
	}
	s.used, s.marker, s.seq, s.timestamp, s.at = true, h.Marker, h.SequenceNumber, h.Timestamp, now
	s.n = copy(s.data[:], payload)
	if int16(h.SequenceNumber-a.highest) > 0 {
		a.highest = h.SequenceNumber
	}
	a.drain(now, deliver)
}

// drain hands on what is in order, and gives up on a gap that is too old: one whose far
// side came that long ago, so that the waits of several gaps do not add up.
func (a *assembler) drain(now time.Time, deliver func(picture)) {
	for int16(a.highest-a.next) >= 0 {
		s := &a.slots[a.next%reorderSlots]
		if s.used && s.seq == a.next {
			s.used = false
			a.next++
			a.take(s, deliver)
			continue
		}
		beyond := a.next + 1
		for s = &a.slots[beyond%reorderSlots]; !s.used || s.seq != beyond; s = &a.slots[beyond%reorderSlots] {
			beyond++ // ends at highest
		}
		if now.Sub(s.at) < a.wait && int(a.highest-a.next) < reorderSlots*3/4 {
			return
		}
		a.lostPackets += uint64(beyond - a.next)
		a.next = beyond
		a.broken, a.hole, a.lost = true, true, true
	}
}

func (a *assembler) take(s *slot, deliver func(picture)) {
	if s.n == 0 { // padding for probing
		return
	}
	if a.open && s.timestamp != a.timestamp { // the marker was lost or is not set
		a.finish(deliver)
	}
	if !a.open {
		a.open = true
		a.timestamp = s.timestamp
		a.picture = a.picture[:0]
		a.broken = a.hole && !a.depack.begins(s.data[:s.n])
	}
	a.hole = false
	var err error
	if a.picture, err = a.depack.append(a.picture, s.data[:s.n]); err != nil {
		a.malformed++
		a.broken = true
	}
	if len(a.picture) > maxPicture {
		a.picture = a.picture[:0]
		a.broken = true
	}
	if s.marker {
		a.finish(deliver)
	}
}

func (a *assembler) finish(deliver func(picture)) {
	whole := !a.broken && len(a.picture) > 0
	wasLost := a.lost
	a.open = false
	if whole {
		a.lost = false
		deliver(picture{data: a.picture, timestamp: a.timestamp, key: a.depack.key(a.picture), afterLoss: wasLost})
	} else if a.broken {
		a.lost = true
	}
	a.broken = false
}
