package leg

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/ladder"
	"rendezvous/mixer/leg/congestion"
)

const (
	soundQueue   = 12                     // packets of 20 ms a slow transport may fall behind
	pictureQueue = 24                     // pictures, likewise
	staleAfter   = 400 * time.Millisecond // a picture that waited longer is of no use
	paceBurst    = 4 * time.Millisecond   // of packets that might have left may be made up for
	// Packets of this long leave back to back, as those of browsers do (whose bursts are longer), so that
	// the sender does not wake for each of them.
	paceAhead = 8 * time.Millisecond

	headerBytes = 12 + 8 // of RTP, with the transport-wide number
)

// sender writes a leg's outgoing packets from one goroutine, sound first and pictures
// paced, so that neither the mixer nor another caller waits for this one's network.
type sender struct {
	leg    *Leg
	wake   chan struct{}
	sound  *queue[soundPacket]
	pics   *queue[queuedUnit]
	once   sync.Once
	cancel context.CancelFunc
	ctx    context.Context
	done   sync.WaitGroup
	cut    atomic.Uint64 // grows when what is queued of pictures is not to be sent any more

	// Owned by the goroutine that calls WritePacket (the bus).
	clock     uint64 // samples of audio.SampleRate since the beginning
	lastWrite time.Time

	// Owned by the sender's goroutine.
	unit      queuedUnit
	to        output    // where unit goes
	timestamp uint32    // of unit
	payload   int       // next payload of unit
	nextSend  time.Time // pacing
	header    rtp.Header
	probe     probe
	asked     time.Time // in a stall, or what is answered
	padding   [maxPadding]byte
}

// output is a stream with the formats it had. What was encoded for it must not be sent
// when either has changed: its payload type would lie.
type output struct {
	stream  *Stream
	formats *formats
}

// present is the output of now at a stream, which may be nil.
func present(s *Stream) output {
	if s == nil {
		return output{}
	}
	return output{s, s.formats.Load()}
}

type soundPacket struct {
	payload []byte
	clock   uint64
	silent  bool
	to      output
	at      time.Time // when it was mixed
}

type queuedUnit struct {
	unit *ladder.Unit
	at   time.Time
	mix  uint64 // whose picture it is: Leg.mixes
	cut  uint64 // sender.cut then
}

// outState is the RTP state of one stream's sending side.
type outState struct {
	seq       uint16
	tsBase    uint32
	started   bool
	lastPTS   uint32
	lastTS    uint32
	lastAt    time.Time
	lastMix   uint64 // whose picture clock it was: Leg.mixes
	wasSilent bool
	reporter  reporter
	resends   resends
}

func (o *outState) init() {
	o.seq = uint16(rand.Uint32())
	o.tsBase = rand.Uint32()
	o.wasSilent = true
}

func newSender(l *Leg) *sender {
	s := &sender{leg: l, wake: make(chan struct{}, 1)}
	s.sound = newQueue[soundPacket](soundQueue, s.wake)
	s.pics = newQueue[queuedUnit](pictureQueue, s.wake)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

func (s *sender) start() {
	s.once.Do(func() {
		s.done.Add(1)
		go s.run()
	})
}

// poke has the sender look for something to do.
func (s *sender) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *sender) close() {
	s.cancel()
	s.once.Do(func() {})
	s.done.Wait()
}

// writeSound queues one encoded frame; called once per tick of the bus.
func (s *sender) writeSound(p audio.Packet, codec string, now time.Time) {
	// A pause between rooms shows in the timestamps, in whole frames.
	if !s.lastWrite.IsZero() {
		if gap := now.Sub(s.lastWrite); gap > 10*audio.FrameDuration {
			s.clock += uint64(gap/audio.FrameDuration-1) * audio.FrameSamples
		}
	}
	s.lastWrite = now
	clock := s.clock
	s.clock += uint64(p.Samples)
	to := present(s.leg.audio.Load())
	if to.stream == nil || to.formats.send.Name != codec {
		return // they have changed since the bus asked
	}
	if s.sound.push(soundPacket{p.Payload, clock, p.Silent, to, now}) {
		to.stream.metrics.queueDrops.Inc()
	}
}

// writePicture queues one encoded picture.
func (s *sender) writePicture(u *ladder.Unit, now time.Time) {
	if s.pics.push(queuedUnit{u, now, s.leg.mixes.Load(), s.cut.Load()}) {
		if out := s.leg.video.Load(); out != nil {
			s.drop(out)
		}
	}
}

func (s *sender) run() {
	defer s.done.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		for {
			p, ok := s.sound.pop()
			if !ok {
				break
			}
			s.sendSound(p)
		}
		if out := s.leg.audio.Load(); out != nil {
			s.resendSound(out, s.leg.cfg.Now())
		}
		wait := s.sendPictures(s.leg.cfg.Now())
		if wait > 0 {
			timer.Reset(wait)
		}
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// sendPictures writes what the pace allows and returns how long to wait for the
// rest, 0 if there is nothing to wait for.
func (s *sender) sendPictures(now time.Time) time.Duration {
	out := s.leg.video.Load()
	if out == nil {
		s.endProbe()
		s.unit = queuedUnit{}
		s.pics.clear()
		return 0
	}
	state, idle := out.path().State(), time.Duration(0)
	pace := state.Pace
	if limit := out.media.MaxSendBitrate; limit > 0 && out.feedback() == nil {
		pace = min(pace, limit*3/2)
	}
	if out.feedback() == nil {
		s.ask(out, state, now)
		if out.echoer != nil && out.out.started {
			idle = state.Ask()
		}
		if state.Hold.After(now) {
			out.out.resends.drop()
			return min(state.Hold.Sub(now), state.Ask())
		}
	}
	if c := out.feedback(); c != nil {
		if state.Unheard {
			idle = stallInterval // to see whether something will be
		}
		if state.Stalled && now.Sub(s.asked) >= stallInterval {
			s.asked = now
			s.pad(out, maxPadding)
		}
		if state.Hold.After(now) {
			s.endProbe()
			out.out.resends.drop()
			return min(state.Hold.Sub(now), stallInterval)
		}
		if s.unit.unit == nil { // padding is not for the middle of a picture
			if wait := s.sendProbe(out, c, now); wait > 0 {
				return wait
			}
		}
	}
	if s.nextSend.Before(now.Add(-paceBurst)) {
		s.nextSend = now.Add(-paceBurst)
	}
	if wait := s.resend(out, pace, now); wait > 0 {
		return wait
	}
	for {
		if s.unit.unit == nil && !s.nextPicture(now) {
			return idle
		}
		out := s.to.stream
		// Switched off or to another codec, the caller has left that room, or their path does not carry it any more.
		if s.to != present(s.leg.video.Load()) || s.unit.mix != s.leg.mixes.Load() || s.unit.cut != s.cut.Load() {
			s.unit = queuedUnit{}
			continue
		}
		payloads := s.unit.unit.Payloads
		for s.payload < len(payloads) {
			if s.nextSend.After(now.Add(paceAhead)) {
				return s.nextSend.Sub(now)
			}
			b := payloads[s.payload]
			s.payload++
			out.out.resends.remember(sentPacket{
				seq: out.out.seq, payloadType: s.to.formats.send.PayloadType, marker: s.payload == len(payloads), timestamp: s.timestamp,
				payload: b, cut: s.unit.cut, first: now,
			}, resendHistory)
			s.write(out, s.to.formats.send.PayloadType, s.payload == len(payloads), s.timestamp, b, s.unit.unit.At)
			s.nextSend = s.nextSend.Add(airtime(headerBytes+len(b)+congestion.Overhead, pace))
		}
		s.unit = queuedUnit{}
		out.report(now)
	}
}

// ask asks the caller for an answer by which their path is measured, and tells them of the time, pictures or not.
func (s *sender) ask(out *Stream, state congestion.State, now time.Time) {
	if !out.out.started {
		return
	}
	if out.echoer != nil && now.Sub(s.asked) >= state.Ask() {
		s.asked = now
		if out.echoer.Ask() {
			s.leg.reports.Asked()
		}
	}
	out.report(now)
}

// airtime is how long so many bytes take at a bit rate.
func airtime(bytes, bitrate int) time.Duration {
	return time.Duration(float64(bytes*8) / float64(bitrate) * float64(time.Second))
}

// nextPicture takes the next picture that is still of use.
func (s *sender) nextPicture(now time.Time) bool {
	for {
		u, ok := s.pics.pop()
		if !ok {
			return false
		}
		to := present(s.leg.video.Load())
		switch {
		case to.stream == nil || string(u.unit.Codec) != to.formats.send.Name || u.mix != s.leg.mixes.Load() || u.cut != s.cut.Load():
		case now.Sub(u.at) > staleAfter:
			s.drop(to.stream)
		default:
			s.unit, s.to, s.payload = u, to, 0
			s.timestamp = to.stream.out.videoTimestamp(u.unit.PTS, u.at, u.mix)
			return true
		}
	}
}

// drop empties the queue for a caller whose network is too slow; they go on with a key frame.
func (s *sender) drop(out *Stream) {
	s.pics.clear()
	s.leg.view.broken()
	out.metrics.queueDrops.Inc()
}

// videoTimestamp maps the room's picture clock to the stream's, once for each picture. Another
// room's clock, and a jump of this one's, is replaced by the time that really went by.
func (o *outState) videoTimestamp(pts uint32, now time.Time, mix uint64) uint32 {
	if o.started {
		const second = 90000
		gone := int64(now.Sub(o.lastAt)) * second / int64(time.Second)
		step := int64(int32(pts - o.lastPTS))
		if mix != o.lastMix || step <= 0 || step > gone+second || step < gone-second {
			o.tsBase = o.lastTS + uint32(max(gone, second/1000)) - pts
		}
	}
	o.started, o.lastPTS, o.lastTS, o.lastAt, o.lastMix = true, pts, pts+o.tsBase, now, mix
	return o.lastTS
}

func (s *sender) write(out *Stream, payloadType uint8, marker bool, ts uint32, payload []byte, captured time.Time) {
	s.header = rtp.Header{
		Version: 2, Marker: marker, PayloadType: payloadType,
		SequenceNumber: out.out.seq, Timestamp: ts, SSRC: out.media.SSRC,
	}
	out.out.seq++
	if flow := out.flow.Load(); flow != nil {
		flow.Sent(s.header.SequenceNumber, headerBytes-8+len(payload))
	}
	if err := out.media.Transport.WriteRTP(&s.header, payload); err != nil {
		out.metrics.writeErrors.Inc()
		return
	}
	out.out.reporter.took(ts, captured, len(payload))
	out.metrics.packetsOut.Inc()
	out.metrics.bytesOut.Add(float64(len(payload)))
}
