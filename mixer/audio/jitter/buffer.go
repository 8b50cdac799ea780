// Package jitter is an adaptive jitter buffer for audio packets. It puts RTP
// packets back in order and in time, says at each pull what to decode or conceal,
// and learns from the arrivals how long packets have to wait so that few come too
// late. It knows nothing of codecs. Inside, time is counted in samples of 48 kHz.
package jitter

import (
	"sync"
	"time"
)

const (
	slots = 128 // packets held at most

	// Limits of RFC 3550 appendix A.1: beyond them a sequence number belongs to a stream begun anew.
	maxDropout  = 3000
	maxMisorder = 100

	// wildTransit is the step in transit time that is taken for a jump of the
	// sender's timestamps, not for the network's doing.
	wildTransit = second

	// maxStall is how long sound that ran dry is concealed before the stream counts as paused, as it does
	// for senders whose DTX gives no sign. Concealment has all but faded by then.
	maxStall = 120 * ms

	// idleAfter is the pause after which a stream is idle, and another may take its place at once.
	idleAfter = second

	// longGap is a loss too long to conceal: the sound starts anew behind it.
	longGap = second / 2

	// Packets looked at before the delay is shortened, and before it is lengthened or when it is far too
	// long; what counts as off. One pull more or less changes the wait by 20 ms, so the band is wider than that.
	calmWindow, urgentWindow = 25, 5
	tooLong, tooShort        = 25 * ms, -2 * ms
	farOff                   = 60 * ms
	pull, margin             = 20 * ms, 3 * ms
	worthwhile               = 5 * ms

	// quantum is what stalls are filled in multiples of, as decoders conceal (codec.ConcealQuantum).
	quantum = 120

	// fecLoss is the share of lost packets from which waiting one packet longer for their FEC pays.
	fecLoss = 0.01
)

// Config are the parameters of a Buffer. Zero values choose the defaults.
type Config struct {
	MinDelay time.Duration // least wait aimed at; default 10 ms (a pull interval comes on top, on average half)
	MaxDelay time.Duration // longest wait; beyond it packets are dropped; default 400 ms
}

// Stats is what a Buffer has counted, and its present delay.
type Stats struct {
	Received  uint64 // packets taken in
	Late      uint64 // packets that came after their sound was due
	Lost      uint64 // packets that had not come when their sound was due
	Repaired  uint64 // packets that came behind a later one, in time
	Restored  uint64 // packets of which a repetition was played (RFC 2198)
	Duplicate uint64
	Overflow  uint64        // packets dropped because the delay had grown beyond MaxDelay or the buffer was full
	Stray     uint64        // packets of another SSRC or a wild sequence number that did not go on, or malformed
	Restarts  uint64        // changes of SSRC, sequence or timestamp that were followed
	Stalls    uint64        // times the buffer ran dry in the middle of sound
	Target    time.Duration // wait aimed at
	Delay     time.Duration // wait of the packet decoded last
}

type slot struct {
	used bool
	hole bool  // a packet that is no sound had this number
	seq  int64 // kept when the packet has been used, to know its duplicates
	ts   int64
	p    Packet
}

// Buffer holds the packets of one stream. All methods may be called from any goroutine.
type Buffer struct {
	mu                 sync.Mutex // guards everything below
	minDelay, maxDelay int
	floor              int // that SetMinimum asks for

	slots [slots]slot
	count int      // used slots
	spare [][]byte // buffers of payloads that have been used: a stream takes as many as it has packets waiting at once

	// The stream followed, and where its numbers stand in ours.
	started     bool
	ssrc        uint32
	clock       int
	rawSeq      uint16
	seq         int64 // highest
	rawTS       uint32
	ts          int64 // of the highest
	samples     int   // of the highest
	lastArrival int64
	zero        time.Time

	// A stream that may take its place.
	candidate    bool
	candidateSeq uint16
	candidateID  uint32

	// The play-out.
	playing bool
	next    int64 // sequence number expected
	head    int64 // timestamp expected
	stalled int   // samples concealed since the head stopped
	dtx     bool  // the packet played last was discontinuous
	restart bool  // the packet played next follows a change of SSRC
	jump    bool  // the packet played next follows dropped ones

	delays   delays
	lossRate float64
	fec      bool // the stream carries FEC, and no repetitions
	copies   bool // the stream carries repetitions

	// The least wait of the packets decoded since the delay was corrected.
	least   int
	decoded int

	stats Stats
}

// New returns a buffer that waits for its first packet.
func New(cfg Config) *Buffer {
	if cfg.MinDelay <= 0 {
		cfg.MinDelay = 10 * time.Millisecond
	}
	if cfg.MaxDelay <= 0 {
		cfg.MaxDelay = 400 * time.Millisecond
	}
	b := &Buffer{minDelay: toSamples(cfg.MinDelay), maxDelay: toSamples(cfg.MaxDelay)}
	b.maxDelay = max(b.maxDelay, b.minDelay)
	return b
}

func toSamples(d time.Duration) int { return int(d * (second / 1000) / time.Millisecond) }

func toDuration(n int) time.Duration { return time.Duration(n) * time.Millisecond / ms }

func (b *Buffer) clockAt(t time.Time) int64 {
	if b.zero.IsZero() {
		b.zero = t
	}
	// An hour before the first packet is as far back as we go.
	return max(0, 3600*second+int64(t.Sub(b.zero))/1000*ms/1000)
}

// Push takes a packet that arrived at the given time. It copies the payload. A redundant one is passed over unless the
// stream goes on behind it and the packet itself has not come.
func (b *Buffer) Push(p *Packet, arrival time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Redundant {
		if step := int16(p.Sequence - b.rawSeq); !b.started || p.SSRC != b.ssrc || p.Clock != b.clock || step >= 0 || step < -maxMisorder ||
			p.Samples <= 0 || len(p.Payload) > MaxPayload {
			return
		}
		b.copies = true
	} else {
		b.stats.Received++
		if p.Samples <= 0 || p.Clock <= 0 || len(p.Payload) > MaxPayload {
			b.stats.Stray++
			return
		}
	}
	at := b.clockAt(arrival)
	newest := b.seq
	seq, ts, ok := b.place(p, at)
	if !ok {
		b.stats.Stray++
		return
	}
	inOrder := seq > newest
	s := &b.slots[seq&(slots-1)]
	known := s.seq == seq && (s.used || seq < b.next)
	if known {
		if !p.Redundant {
			b.stats.Duplicate++
		}
		return
	}
	for seq >= b.next+slots {
		b.drop(&b.slots[b.next&(slots-1)])
		b.next++
	}
	// It tells of the network even if it is late.
	if inOrder {
		b.delays.add(at, ts)
	} else {
		b.delays.repair(at, ts)
	}
	if seq < b.next {
		if !p.Redundant {
			b.stats.Late++
		}
		if !s.used && s.seq < seq {
			s.hole, s.seq = false, seq // it may come again
		}
		return
	}
	if !inOrder && !p.Redundant {
		b.stats.Repaired++
	}
	b.fec = (b.fec || p.FEC) && !b.copies
	payload := append(b.room(len(p.Payload)), p.Payload...)
	s.used, s.hole, s.seq, s.ts, s.p = true, false, seq, ts, *p
	s.p.Payload = payload
	s.p.Restart = false
	b.count++
}

// room is an empty buffer for n bytes; in steps, so that payloads of changing size soon fit everywhere.
func (b *Buffer) room(n int) []byte {
	if last := len(b.spare) - 1; last >= 0 {
		buf := b.spare[last]
		b.spare = b.spare[:last]
		if cap(buf) >= n {
			return buf[:0]
		}
	}
	return make([]byte, 0, (n+255)&^255)
}

// free takes a packet out of its slot.
func (b *Buffer) free(s *slot) {
	s.used = false
	b.count--
	b.spare = append(b.spare, s.p.Payload)
	s.p.Payload = nil
}

func (b *Buffer) drop(s *slot) {
	if s.used {
		b.free(s)
		b.stats.Overflow++
	}
}

// Hole says that the packet of this number is no sound (an RFC 4733 event): it is not lost.
func (b *Buffer) Hole(ssrc uint32, sequence uint16, arrival time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	step := int16(sequence - b.rawSeq)
	seq := b.seq + int64(step)
	if !b.started || ssrc != b.ssrc || step > maxDropout || step < -maxMisorder || seq < b.next {
		return
	}
	if step > 0 {
		b.seq, b.rawSeq = seq, sequence
	}
	b.lastArrival = b.clockAt(arrival)
	for seq >= b.next+slots {
		b.drop(&b.slots[b.next&(slots-1)])
		b.next++
	}
	if s := &b.slots[seq&(slots-1)]; !s.used {
		s.hole, s.seq = true, seq
	}
}

// place finds a packet's sequence number and timestamp in our counting.
func (b *Buffer) place(p *Packet, at int64) (seq, ts int64, ok bool) {
	if !b.started {
		b.started = true
		b.seq, b.ts = slots, 0 // above the zero in unused slots
		b.next = b.seq
		b.follow(p, at)
		return b.seq, b.ts, true
	}
	step := int16(p.Sequence - b.rawSeq)
	if p.SSRC != b.ssrc || p.Clock != b.clock || step > maxDropout || step < -maxMisorder {
		return b.consider(p, at)
	}
	b.candidate = false
	seq = b.seq + int64(step)
	ts = b.ts + int64(int32(p.Timestamp-b.rawTS))*second/int64(b.clock)
	if wild := at - ts - b.delays.base(); wild > wildTransit || wild < -wildTransit {
		if step <= 0 {
			return 0, 0, false
		}
		b.stats.Restarts++
		b.ts = b.predict(step, at)
		ts = b.ts
		b.seq = seq
		b.follow(p, at)
		return seq, ts, true
	}
	if step > 0 {
		b.seq, b.ts = seq, ts
		b.follow(p, at)
	}
	return seq, ts, true
}

// follow makes p the newest packet, whose place in our counting is b.seq and b.ts.
func (b *Buffer) follow(p *Packet, at int64) {
	b.ssrc, b.clock, b.rawSeq, b.rawTS, b.samples = p.SSRC, p.Clock, p.Sequence, p.Timestamp, p.Samples
	b.lastArrival = at
}

// predict is the timestamp in our counting of a packet that comes step packets after
// the newest and whose own timestamp says nothing.
func (b *Buffer) predict(step int16, at int64) int64 {
	return max(b.ts+int64(step)*int64(b.samples), at-b.delays.base())
}

// consider looks at a packet that does not go on from the stream followed. The second of two
// in a row is followed, so that a stray packet disturbs nobody; an idle stream's place is free at once.
func (b *Buffer) consider(p *Packet, at int64) (seq, ts int64, ok bool) {
	second := b.candidate && p.SSRC == b.candidateID && p.Sequence == b.candidateSeq+1
	if !second && at-b.lastArrival < idleAfter {
		b.candidate, b.candidateID, b.candidateSeq = true, p.SSRC, p.Sequence
		return 0, 0, false
	}
	b.candidate = false
	b.stats.Restarts++
	if p.SSRC != b.ssrc {
		b.restart = true
		b.fec, b.copies = false, false
	}
	b.ts = b.predict(1, at)
	b.seq++
	b.follow(p, at)
	return b.seq, b.ts, true
}

// first is the earliest packet held, nil if there is none.
func (b *Buffer) first() *slot {
	for s := &b.slots[b.next&(slots-1)]; s.hole && s.seq == b.next; s = &b.slots[b.next&(slots-1)] {
		s.hole = false
		b.next++
	}
	if b.count == 0 {
		return nil
	}
	for seq := b.next; seq <= b.seq; seq++ {
		if s := &b.slots[seq&(slots-1)]; s.used && s.seq == seq {
			return s
		}
	}
	return nil
}

// wait is how long a packet would have waited if decoded now, had it come by the fastest way.
func (b *Buffer) wait(s *slot, now int64) int { return int(now - s.ts - b.delays.base()) }

func (b *Buffer) target() int {
	t := b.delays.wait()
	t = max(t, b.delays.repairWait(t))
	if b.fec && b.lossRate > fecLoss {
		t += b.samples // so that the packet that repeats a lost one is there in time
	}
	return min(max(t, b.minDelay, b.floor), b.maxDelay)
}

// SetMinimum asks for a wait of at least d (and MaxDelay at most) besides what the network needs, so that the sound does not
// play before the picture that belongs to it. The present wait moves there as it does after the network's changes.
func (b *Buffer) SetMinimum(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.floor = toSamples(min(max(d, 0), time.Hour))
}

// Pull says what to do for the next want samples of sound. On Play, and on Lost where the
// packet behind the gap is at hand, it fills p, whose Payload it reuses. On Silence, Lost and
// Stall n samples are to be made; n may exceed want, by less than a packet.
func (b *Buffer) Pull(now time.Time, want int, p *Packet) (a Action, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.clockAt(now)
	for {
		b.catchUp(at)
		s := b.first()
		if !b.playing {
			if s == nil {
				if !b.started || at-b.lastArrival > idleAfter {
					return Idle, 0
				}
				return Silence, want
			}
			wait := b.wait(s, at)
			if wait < b.target() {
				return Silence, want
			}
			if s.p.Discontinuous {
				b.use(s, nil)
				continue
			}
			b.stats.Lost += uint64(s.seq - b.next)
			b.playing, b.head, b.stalled, b.dtx = true, s.ts, 0, false
			b.next = s.seq
			b.resetWindow()
		}
		if s == nil {
			return b.dry(want)
		}
		gap := s.ts - b.head
		if b.dtx || gap > longGap || gap > 0 && s.seq == b.next {
			b.pause()
			continue
		}
		// Packets are missing before s. What a stall has made up already stands for some of them.
		credit := min(max(gap, 0), int64(b.stalled))
		b.head += credit
		b.stalled -= int(credit)
		gap -= credit
		if gap <= 0 {
			if -gap > int64(s.p.Samples)/2 { // made up already
				b.next = s.seq + 1
				b.free(s)
				b.stats.Late++
				continue
			}
			b.stalled = 0
			return b.play(s, at, p)
		}
		return b.lose(s, int(gap), want, p)
	}
}

// dry is what to do when there is no packet.
func (b *Buffer) dry(want int) (Action, int) {
	if b.dtx || b.stalled >= maxStall {
		b.pause()
		return Silence, want
	}
	if b.stalled == 0 {
		b.stats.Stalls++
	}
	n := quanta(want)
	b.stalled += n
	return Stall, n
}

// pause ends the sound; the next packet starts it anew, with the wait then aimed at.
func (b *Buffer) pause() { b.playing, b.stalled, b.dtx = false, 0, false }

// catchUp passes over packets where the delay has become too long, until it is what it should be.
func (b *Buffer) catchUp(at int64) {
	s := b.first()
	if s == nil || b.wait(s, at) <= b.maxDelay+tooLong {
		return
	}
	for ; b.count > 1 && b.wait(s, at) > b.target()+tooLong; s = b.first() {
		b.drop(s)
		b.next = s.seq + 1
		b.head = s.ts + int64(s.p.Samples)
		b.stalled, b.jump = 0, b.playing
		b.resetWindow()
	}
}

func (b *Buffer) play(s *slot, at int64, p *Packet) (Action, int) {
	wait := b.wait(s, at)
	b.least = min(b.least, wait)
	b.decoded++
	b.stats.Delay = toDuration(wait)
	missing := s.seq - b.next
	b.stats.Lost += uint64(missing)
	if s.p.Redundant {
		b.stats.Restored++
	}
	b.lossRate += 0.005 * (min(float64(missing), 10) - b.lossRate)
	b.use(s, p)
	p.Waited = toDuration(wait)
	return Play, p.Samples
}

// use takes the packet out of the buffer.
func (b *Buffer) use(s *slot, p *Packet) {
	if p != nil {
		b.copyOut(s, p)
		p.Restart = b.restart && s.p.SSRC == b.ssrc
		b.restart = b.restart && !p.Restart
		p.Jump = b.jump
		b.jump = false
	}
	b.free(s)
	b.next, b.head = s.seq+1, s.ts+int64(s.p.Samples)
	b.dtx = s.p.Discontinuous
}

func (b *Buffer) copyOut(s *slot, p *Packet) {
	payload := append(p.Payload[:0], s.p.Payload...)
	*p = s.p
	p.Payload = payload
}

// lose says how to fill the gap before s, from its FEC as far as that goes.
func (b *Buffer) lose(s *slot, gap, want int, p *Packet) (Action, int) {
	// Packet by packet, so that what is left of a gap remains one that decoders can conceal.
	n := min(gap, max(want, b.samples))
	p.Payload = p.Payload[:0]
	if s.p.FEC {
		if gap > s.p.Samples {
			n = min(gap-s.p.Samples, max(want, b.samples))
		} else {
			n = gap
			b.copyOut(s, p)
		}
	}
	b.head += int64(n)
	return Lost, n
}

// quanta is n rounded up to what can be concealed.
func quanta(n int) int { return (n + quantum - 1) / quantum * quantum }

func (b *Buffer) resetWindow() { b.least, b.decoded = 1<<30, 0 }

// Excess is by how much at most, in samples of 48 kHz, the sound should be shortened (above 0) or
// by how much it should be lengthened (below 0) now; 0 is to leave it. ahead is how much sound, less than a pull's, is at
// hand when a packet is pulled: it adds to the delay, and no packet may be later for it. Whoever has done something about
// it calls Corrected.
func (b *Buffer) Excess(ahead int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.playing || b.decoded < urgentWindow {
		return 0
	}
	excess := b.least - b.target()
	if excess < tooShort {
		return excess
	}
	calm := b.decoded >= calmWindow
	if excess > farOff || calm {
		// Pulls that can be made earlier, as whole ones.
		if excess = ahead + max(0, excess-margin)/pull*pull; excess >= worthwhile {
			return excess
		}
	}
	if calm {
		b.resetWindow()
	}
	return 0
}

// Corrected begins to look at the delay anew.
func (b *Buffer) Corrected() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.resetWindow()
}

// Stats returns the counters and the present delay.
func (b *Buffer) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	s.Target = toDuration(b.target())
	return s
}
