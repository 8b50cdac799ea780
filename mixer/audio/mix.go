package audio

import (
	"cmp"
	"slices"

	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/talk"
)

const (
	// From so many on, members are read and written to, and frames encoded, on several cores.
	enoughReads, enoughEncodes = 32, 4

	// keepUnused is how many ticks an encoder nobody listens to is kept: 5 s.
	keepUnused = 250
)

// sharedKey tells shared encodes apart: those of the room's sound, and of silence for the deaf.
type sharedKey struct {
	format Format
	deaf   bool
}

// mix is the state of the tick; it belongs to the tick's goroutine.
type mix struct {
	b       *Bus
	workers workers
	tick    int64

	processing Processing

	slots  []*slot
	chosen []*slot

	clip    Frame
	sum     [FrameSamples]int32 // of all talkers and announcements
	room    Frame               // sum, limited: what listeners hear
	limiter limiter
	heard   history // of room

	silence Frame
	hush    history // of silence

	shared    map[sharedKey]*shared
	encodings []*encoding

	failed bool // an encode, and it was logged
}

func (x *mix) init(b *Bus) {
	x.b = b
	x.shared = make(map[sharedKey]*shared)
	x.limiter = newLimiter()
	x.workers.do[readSlots] = func(i int) { x.slots[i].read(x.processing) }
	x.workers.do[deliver] = func(i int) { x.slots[i].deliver() }
	x.workers.do[encode] = func(i int) { x.encodings[i].encode() }
}

// close forgets the past when the last member has gone.
func (x *mix) close() {
	for k, s := range x.shared {
		s.close()
		delete(x.shared, k)
	}
	x.limiter = newLimiter()
	x.heard = history{}
	x.slots = nil
}

// tick makes 20 ms of sound.
func (b *Bus) tick() {
	b.inTick.Lock()
	defer b.inTick.Unlock()
	x := &b.mix
	x.tick++
	x.slots = *b.order.Load()
	x.processing = *b.processing.Load()
	x.workers.run(readSlots, len(x.slots), enoughReads)
	x.choose()
	x.add()
	x.plan()
	x.workers.run(encode, len(x.encodings), enoughEncodes)
	x.address()
	x.workers.run(deliver, len(x.slots), enoughReads)
	x.heard.add(&x.room)
}

// choose finds the talkers to be mixed and brings their sound into shape.
func (x *mix) choose() {
	x.chosen = x.chosen[:0]
	for _, s := range x.slots {
		if s.open {
			x.chosen = append(x.chosen, s)
		}
	}
	if most := x.b.cfg.MaxTalkers; len(x.chosen) > most {
		slices.SortStableFunc(x.chosen, func(a, b *slot) int { return cmp.Compare(b.rank(), a.rank()) })
		for _, s := range x.chosen[most:] {
			s.open = false
		}
	}
	changed := false
	for _, s := range x.slots {
		s.shape(s.open)
		was := s.talking.Load()
		is := s.open && s.detector.Talking(was)
		if is {
			s.talkTicks.Add(1)
		}
		if is == was {
			continue
		}
		s.talking.Store(is)
		changed = true
		if is {
			x.b.cfg.Metrics.talkers.Inc()
		} else {
			x.b.cfg.Metrics.talkers.Dec()
		}
	}
	if changed {
		x.b.notify()
	}
}

// rank orders those who want to be mixed, the loudest first, with some patience for who is.
func (s *slot) rank() float64 {
	if !s.slope.Closed() {
		return s.loudness + incumbent
	}
	return s.loudness
}

// add makes the sum and the room's sound.
func (x *mix) add() {
	clear(x.sum[:])
	for _, s := range x.slots {
		if s.sounds {
			for i, v := range s.in {
				x.sum[i] += int32(v)
			}
		}
	}
	if x.b.nextClipFrame(&x.clip) {
		for i, v := range x.clip {
			x.sum[i] += int32(v)
		}
	}
	before := x.limiter
	x.limiter.apply(&x.room, &x.sum)
	for _, s := range x.slots {
		if s.isSolo {
			s.hearSolo()
		}
		x.mixFor(s, before)
	}
}

// mixFor makes a member's own sound, if it differs from the room's. before is the room's limiter
// as it was, with which a new private mix goes on.
func (x *mix) mixFor(s *slot, before limiter) {
	deaf := s.isDeaf
	differs := s.hasPrivate || s.sounds && !deaf
	if !s.listens() || s.out == nil && !differs && !deaf {
		return
	}
	if s.out == nil {
		s.out = new(output)
	}
	o := s.out
	if !differs && !o.on && o.deaf == deaf {
		return
	}
	if !o.on {
		o.on, o.begun, o.wasDeaf = true, true, o.deaf
		o.heard, o.limiter = x.heard, before
		if o.deaf {
			o.heard, o.limiter = x.hush, newLimiter()
		}
	}
	o.deaf = deaf
	var sum [FrameSamples]int32
	if !deaf {
		sum = x.sum
		if s.sounds {
			for i, v := range s.in {
				sum[i] -= int32(v)
			}
		}
	}
	if s.hasPrivate {
		for i, v := range s.private {
			sum[i] += int32(v)
		}
	}
	o.limiter.apply(&o.mixed, &sum)
	like := &x.room
	if deaf {
		like = &x.silence
	}
	if differs || o.mixed != *like {
		o.equal = 0
		return
	}
	if o.equal++; o.equal > settleFrames && (talk.Level(o.mixed[:]) < quiet || o.equal > patience) {
		o.on, o.equal = false, 0
	}
}

// plan lists what is to be encoded.
func (x *mix) plan() {
	x.encodings = x.encodings[:0]
	for _, s := range x.slots {
		switch {
		case !s.listens():
		case s.hasOwn():
			x.planPrivate(s)
		default:
			x.planShared(s)
		}
	}
	for k, e := range x.shared {
		if x.tick-e.used > keepUnused {
			e.close()
			delete(x.shared, k)
		}
	}
}

func (x *mix) planPrivate(s *slot) {
	o := s.out
	if begun := o.begun; begun || o.enc == nil || o.format != s.format {
		o.begun = false
		var from codec.Encoder
		if begun {
			from = x.shared[sharedKey{s.format, o.wasDeaf}].standing(x.tick)
		}
		if err := o.open(s.format, x.b.cfg.Complexity, from, &o.heard); err != nil {
			x.fail(s.format, err)
			return
		}
	}
	o.pcm = &o.mixed
	x.encodings = append(x.encodings, &o.encoding)
	x.b.cfg.Metrics.private.Inc()
}

func (x *mix) planShared(s *slot) {
	key := sharedKey{s.format, s.isDeaf}
	e := s.shared
	if e == nil || e.key != key || e.used < x.tick-1 { // an older one may be gone
		if e = x.shared[key]; e == nil {
			e = &shared{key: key}
			x.shared[key] = e
		}
		s.shared = e
	}
	if e.used == x.tick { // planned already
		return
	}
	pcm, past := &x.room, &x.heard
	if key.deaf {
		pcm, past = &x.silence, &x.hush
	}
	if e.enc == nil || e.used != x.tick-1 {
		if err := e.open(s.format, x.b.cfg.Complexity, nil, past); err != nil {
			x.fail(s.format, err)
			e.used = x.tick
			return
		}
	}
	e.pcm, e.used, e.usedBefore = pcm, x.tick, e.used
	x.encodings = append(x.encodings, &e.encoding)
	x.b.cfg.Metrics.shared.Inc()
}

// deliver hands a member their packet.
func (s *slot) deliver() {
	if s.sent == nil {
		return
	}
	s.m.WritePacket(s.sent.packet, s.format)
	s.watch.sent = s.sent.packet.Level
	if s.hasOwn() {
		s.out.heard.add(&s.out.mixed)
	}
}

// address finds the packet that each member is to be handed.
func (x *mix) address() {
	for _, s := range x.slots {
		s.sent = nil
		if !s.listens() {
			continue
		}
		var e *encoding
		if s.hasOwn() {
			e = &s.out.encoding
		} else {
			e = &s.shared.encoding
		}
		switch {
		case e.enc == nil:
		case e.err != nil:
			x.fail(s.format, e.err)
		default:
			s.sent = e
		}
	}
}

// fail counts an encode that was not made, and logs the first of them.
func (x *mix) fail(f Format, err error) {
	x.b.cfg.Metrics.encodeErrors.Inc()
	if !x.failed {
		x.failed = true
		x.b.cfg.Log.Error("sound cannot be encoded; members of this format hear nothing", "format", f, "error", err)
	}
}
