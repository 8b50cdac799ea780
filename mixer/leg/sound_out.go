package leg

import (
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/red"
)

const (
	mostCopies = 2

	// From so much loss (percent) on packets repeat the one before, and the one before that.
	lossForOne, lossForTwo = 2, 10
	// A path that carries less than so much (bit/s) is not given repetitions: it may lose packets for being full.
	pathForOne, pathForTwo = 150_000, 250_000

	askedWindow = 50 // packets of 20 ms
)

// soundSteps are the bit rates of Opus, mono, the better first, and what a path must carry in all for one to be begun with; a
// better one is taken up again only if the path carries a quarter more, and after soundPatience.
var soundSteps = [...]struct{ bitrate, path int }{
	{32_000, 180_000}, // what a wideband conference needs
	{20_000, 100_000},
	{12_000, 0},
}

const soundPatience = 5 * time.Second

// soundRate chooses a stream's bit rate of Opus. It belongs to the bus.
type soundRate struct {
	step  int       // of soundSteps
	moved time.Time // when it was last changed
}

// choose returns the bit rate for a path that carries so much, if that was measured. Each rate is an encode of its own, so that
// they are few and seldom change.
func (r *soundRate) choose(available int, measured bool, now time.Time) int {
	switch {
	case !measured:
		r.step = 0
	case available < soundSteps[r.step].path:
		for r.step < len(soundSteps)-1 && available < soundSteps[r.step].path {
			r.step++
		}
		r.moved = now
	case r.step > 0 && available >= soundSteps[r.step-1].path*5/4 && now.Sub(r.moved) >= soundPatience:
		r.step--
		r.moved = now
	}
	return soundSteps[r.step].bitrate
}

// soundOut puts earlier packets of sound into those that are sent (RED, RFC 2198) where the peer loses some. Packets are
// encoded for all listeners and repeated for one. It belongs to the sender's goroutine, but for asked.
type soundOut struct {
	asked atomic.Uint32 // packets that the peer has asked for
	last  atomic.Uint32 // the newest of them, and 1<<16 once there is one

	codec  Codec                  // of before
	before [mostCopies]repeatable // the newest first
	buf    []byte
	blocks [mostCopies + 1]red.Block

	sent  int     // since asked was looked at
	seen  uint32  // asked, then
	share float64 // of packets asked for: rises at once, falls slowly
}

type repeatable struct {
	payload   []byte // shared: not written
	timestamp uint32
}

// note counts what the peer says that it lacks. What it has asked for before is not counted again.
func (o *soundOut) note(n *rtcp.TransportLayerNack) {
	for i := range n.Nacks {
		n.Nacks[i].Range(func(seq uint16) bool {
			if last := o.last.Load(); last == 0 || int16(seq-uint16(last)) > 0 {
				o.last.Store(1<<16 | uint32(seq))
				o.asked.Add(1)
			}
			return true
		})
	}
}

// lossPercent is the loss that repetitions are to fill, given what the peer's reports let expect: reports leave out what
// was lost and has been sent again.
func (o *soundOut) lossPercent(reported int) int {
	if o.sent++; o.sent >= askedWindow {
		asked := o.asked.Load()
		o.share = max(float64(asked-o.seen)/float64(o.sent), o.share*0.9)
		o.seen, o.sent = asked, 0
	}
	return max(reported, min(100, int(100*o.share+0.5)))
}

// copies is how many earlier packets each is to repeat. available is what the path carries in bit/s, if that was measured.
func copies(lossPercent, available int, measured bool) int {
	switch {
	case lossPercent < lossForOne, measured && available < pathForOne:
		return 0
	case lossPercent < lossForTwo, measured && available < pathForTwo:
		return 1
	}
	return 2
}

// wrap makes a payload that repeats so many of those before, if there are; else it is the payload itself. It is good until the
// next call.
func (o *soundOut) wrap(codec Codec, payload []byte, timestamp uint32, copies int) (payloadType uint8, wrapped []byte) {
	if o.codec != codec {
		o.codec, o.before = codec, [mostCopies]repeatable{}
	}
	payloadType, wrapped = codec.PayloadType, payload
	n := 0
	for i := copies - 1; i >= 0; i-- {
		if b := o.before[i]; b.payload != nil {
			o.blocks[n] = red.Block{PayloadType: codec.PayloadType, Offset: timestamp - b.timestamp, Payload: b.payload}
			n++
		}
	}
	if n > 0 {
		o.blocks[n] = red.Block{PayloadType: codec.PayloadType, Payload: payload}
		o.buf = red.Append(o.buf[:0], o.blocks[:n+1])
		payloadType, wrapped = codec.RED, o.buf
	}
	copy(o.before[1:], o.before[:])
	o.before[0] = repeatable{payload, timestamp}
	return payloadType, wrapped
}

func (s *sender) sendSound(p soundPacket) {
	codec := p.to.formats.send
	if p.to != present(s.leg.audio.Load()) || codec.ClockRate == 0 {
		return
	}
	o := &p.to.stream.out
	if p.silent && len(p.payload) == 0 {
		o.wasSilent = true
		p.to.stream.report(p.at)
		return
	}
	ts := o.tsBase + uint32(p.clock*uint64(codec.ClockRate)/audio.SampleRate)
	payloadType, payload := codec.PayloadType, p.payload
	if codec.RED != 0 {
		payloadType, payload = p.to.stream.repeats.wrap(codec, payload, ts, s.copies(p.to.stream, s.leg.cfg.Now()))
	}
	now := s.leg.cfg.Now()
	o.resends.remember(sentPacket{
		seq: o.seq, payloadType: codec.PayloadType, marker: o.wasSilent, timestamp: ts, payload: p.payload, first: now,
	}, soundHistory)
	s.write(p.to.stream, payloadType, o.wasSilent, ts, payload, p.at)
	o.wasSilent = false
	p.to.stream.report(p.at)
}

// carries is what the path to the caller carries in bit/s, if anybody measures that: the picture's stream, which takes
// most of it.
func (l *Leg) carries() (bitrate int, measured bool) {
	if video := l.video.Load(); video != nil {
		state := video.path().State()
		return state.Target, state.Known
	}
	return 0, false
}

// pathLoss is the loss in percent of the path to the caller, where a congestion controller tells it from what a full queue has no
// room for: that is over when the queue is.
func (l *Leg) pathLoss() (percent int, measured bool) {
	if video := l.video.Load(); video != nil {
		if c := video.feedback(); c != nil {
			state := c.State()
			return int(100*state.Loss + 0.5), state.Known
		}
	}
	return 0, false
}

// copies is how many earlier packets of sound each is to repeat now.
func (s *sender) copies(to *Stream, now time.Time) int {
	available, measured := s.leg.carries()
	loss, told := s.leg.pathLoss()
	if !told {
		loss = to.repeats.lossPercent(to.network.expectedLoss(now))
	}
	n := copies(loss, available, measured)
	s.leg.soundCopies.Store(int32(n))
	return n
}
