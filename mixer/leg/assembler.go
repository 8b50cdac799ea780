package leg

import (
	"time"

	"github.com/pion/rtp"
)

const (
	reorderSlots   = 512 // packets kept, a power of two; 1 s of 4 Mbit/s
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

	slots   [reorderSlots]slot
	started bool
	next    uint16 // next sequence number wanted
	highest uint16 // highest received
	gapAt   time.Time

	picture   []byte
	timestamp uint32
	open      bool // picture holds packets of timestamp
	broken    bool // a packet of the open picture is missing or unreadable
	lost      bool // something was lost since the last picture handed out

	discarded, lostPackets, malformed uint64
}

type slot struct {
	used      bool
	marker    bool
	seq       uint16
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
	a.started, a.open, a.broken = false, false, false
	a.picture = a.picture[:0]
	a.gapAt = time.Time{}
	a.lost = true
}

// push takes one packet and calls deliver for each picture it completes.
func (a *assembler) push(h *rtp.Header, payload []byte, now time.Time, deliver func(picture)) {
	if len(payload) > maxPacketBytes {
		a.malformed++
		return
	}
	if !a.started {
		a.started = true
		a.next, a.highest = h.SequenceNumber, h.SequenceNumber-1
	}
	ahead := int16(h.SequenceNumber - a.next)
	if ahead < 0 {
		if ahead > -reorderSlots {
			a.discarded++ // late or a duplicate
			return
		}
		a.reset()
		a.started = true
		a.next, a.highest = h.SequenceNumber, h.SequenceNumber-1
		ahead = 0
	}
	if int(ahead) >= reorderSlots { // a jump: the sender restarted
		a.reset()
		a.started = true
		a.next, a.highest = h.SequenceNumber, h.SequenceNumber-1
	}
	s := &a.slots[h.SequenceNumber%reorderSlots]
	if s.used && s.seq == h.SequenceNumber {
		a.discarded++
		return
	}
	s.used, s.marker, s.seq, s.timestamp = true, h.Marker, h.SequenceNumber, h.Timestamp
	s.n = copy(s.data[:], payload)
	if int16(h.SequenceNumber-a.highest) > 0 {
		a.highest = h.SequenceNumber
	}
	a.drain(now, deliver)
}

// drain hands on what is in order, and gives up on a gap that is too old.
func (a *assembler) drain(now time.Time, deliver func(picture)) {
	for {
		s := &a.slots[a.next%reorderSlots]
		if s.used && s.seq == a.next {
			s.used = false
			a.next++
			a.gapAt = time.Time{}
			a.take(s, deliver)
			continue
		}
		if int16(a.highest-a.next) < 0 {
			return // nothing is missing
		}
		if a.gapAt.IsZero() {
			a.gapAt = now
		}
		if now.Sub(a.gapAt) < a.wait && int(a.highest-a.next) < reorderSlots*3/4 {
			return
		}
		for int16(a.highest-a.next) >= 0 { // skip the hole
			s := &a.slots[a.next%reorderSlots]
			if s.used && s.seq == a.next {
				break
			}
			a.next++
			a.lostPackets++
		}
		a.gapAt = time.Time{}
		a.broken, a.lost = true, true
	}
}

func (a *assembler) take(s *slot, deliver func(picture)) {
	if a.open && s.timestamp != a.timestamp { // the marker was lost or is not set
		a.finish(deliver)
	}
	if !a.open {
		a.open = true
		a.timestamp = s.timestamp
		a.picture = a.picture[:0]
	}
	if s.n == 0 { // padding for probing
		return
	}
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
