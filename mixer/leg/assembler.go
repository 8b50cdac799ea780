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
// take, or until there is a key frame behind it; then it skips to the next picture and
// says that the reference is lost.
// Not safe for concurrent use.
type assembler struct {
	depack depacketiser
	wait   time.Duration // how long a gap is waited for
	gaps   gaps          // what is missing between next and highest
	rtt    time.Duration // to the sender and back as reports say, 0 if they do not
	keyAt  uint16        // the first packet of the newest key frame behind a gap, if keyHeld
	sample []byte        // scratch

	slots   []slot // by sequence number; made with the first packet, as many streams never get one
	started bool
	next    uint16 // next sequence number wanted
	highest uint16 // highest received
	late    int    // packets behind next in a row

	picture   []byte
	timestamp uint32
	step      uint32 // between the timestamps of two pictures, the least lately; 0: not known
	open      bool   // picture holds packets of timestamp
	broken    bool   // a packet of the open picture is missing or unreadable
	hole      bool   // packets before the next one are missing
	lost      bool   // something was lost since the last picture handed out
	keyHeld   bool   // a key frame has begun behind a gap

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
	a.started, a.open, a.broken, a.hole, a.keyHeld = false, false, false, false, false
	a.gaps.clear()
	a.picture = a.picture[:0]
	a.step = 0
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
		a.gaps.opened(a.highest+1, h.SequenceNumber, now)
		a.highest = h.SequenceNumber
	} else {
		a.gaps.closed(h.SequenceNumber, a.rtt, now)
	}
	if len(a.gaps.list) > 0 && a.beginsKey(s) {
		a.holdKey(s)
	}
	a.drain(now, deliver)
}

// beginsKey reports whether a packet is the first of a key frame.
func (a *assembler) beginsKey(s *slot) bool {
	payload := s.data[:s.n]
	if s.n == 0 || !a.depack.begins(payload) {
		return false
	}
	var err error
	a.sample, err = a.depack.append(a.sample[:0], payload)
	return err == nil && a.depack.key(a.sample)
}

// holdKey remembers where the newest key frame behind a gap begins: parameter sets come before its slices.
func (a *assembler) holdKey(s *slot) {
	if a.keyHeld && int16(a.keyAt-a.next) >= 0 {
		later := int16(s.seq-a.keyAt) > 0
		if same := s.timestamp == a.slots[a.keyAt%reorderSlots].timestamp; same == later {
			return
		}
	}
	a.keyAt, a.keyHeld = s.seq, true
}

// keyWhole reports whether all packets are there of a key frame behind the gap that is waited for.
func (a *assembler) keyWhole() bool {
	if !a.keyHeld || int16(a.keyAt-a.next) < 0 {
		a.keyHeld = false
		return false
	}
	first := &a.slots[a.keyAt%reorderSlots]
	for seq := a.keyAt; ; seq++ {
		s := &a.slots[seq%reorderSlots]
		if !s.used || s.seq != seq {
			return false
		}
		if s.timestamp != first.timestamp || s.marker {
			return true
		}
	}
}

// waits is until when the oldest gap is waited for; zero if nothing is missing.
func (a *assembler) waits() time.Time {
	if int16(a.highest-a.next) < 0 || !a.started {
		return time.Time{}
	}
	beyond := a.next
	for s := &a.slots[beyond%reorderSlots]; !s.used || s.seq != beyond; s = &a.slots[beyond%reorderSlots] {
		beyond++ // ends at highest
	}
	return a.slots[beyond%reorderSlots].at.Add(a.wait)
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
		key := a.keyWhole()
		beyond := a.next + 1
		if key {
			beyond = a.keyAt
		}
		for s = &a.slots[beyond%reorderSlots]; !s.used || s.seq != beyond; s = &a.slots[beyond%reorderSlots] {
			beyond++ // ends at highest
		}
		if !key && a.empty(s) {
			a.lostPackets += uint64(beyond - a.next)
			a.next = beyond
			a.gaps.forget(beyond)
			continue
		}
		if !key && now.Sub(s.at) < a.wait && int(a.highest-a.next) < reorderSlots*3/4 {
			return
		}
		a.skip(beyond)
	}
}

// empty reports whether what is missing before a packet is no part of a picture, but padding of a bandwidth probe, which
// its sender does not send again: padding has the timestamp of the picture before it, and between two pictures that follow
// each other as closely as this camera's do there is none.
func (a *assembler) empty(s *slot) bool {
	if a.open || a.hole || a.step == 0 { // in the middle of a picture, or nothing is known of what came before
		return false
	}
	if s.n == 0 {
		return s.timestamp == a.timestamp
	}
	return s.timestamp-a.timestamp <= a.step+a.step/2 && a.depack.begins(s.data[:s.n]) && !a.beginsKey(s)
}

// skip gives up what is missing before a packet, and what of it has come with it.
func (a *assembler) skip(to uint16) {
	for ; a.next != to; a.next++ {
		if s := &a.slots[a.next%reorderSlots]; s.used && s.seq == a.next {
			s.used = false
		} else {
			a.lostPackets++
		}
	}
	a.gaps.forget(a.next)
	a.broken, a.hole, a.lost = true, true, true
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
		if step := s.timestamp - a.timestamp; !a.hole && step > 0 && step < 10*videoClock {
			if a.step == 0 {
				a.step = step
			}
			a.step = min(step, a.step+a.step/16)
		}
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
