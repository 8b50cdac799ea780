package leg

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pion/rtp"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/ladder"
)

const (
	soundQueue   = 12                     // packets of 20 ms a slow transport may fall behind
	pictureQueue = 24                     // pictures, likewise
	staleAfter   = 700 * time.Millisecond // a picture that waited longer is of no use
	paceBurst    = 4 * time.Millisecond   // of packets that might have left may be made up for
	// Packets of this long leave back to back, as those of browsers do (whose bursts are longer), so that
	// the sender does not wake for each of them.
	paceAhead = 8 * time.Millisecond
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
}

type queuedUnit struct {
	unit *ladder.Unit
	at   time.Time
	mix  uint64 // whose picture it is: Leg.mixes
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
	if s.sound.push(soundPacket{p.Payload, clock, p.Silent, to}) {
		to.stream.metrics.queueDrops.Inc()
	}
}

// writePicture queues one encoded picture.
func (s *sender) writePicture(u *ladder.Unit, now time.Time) {
	if s.pics.push(queuedUnit{u, now, s.leg.mixes.Load()}) {
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
// rest, 0 if there is none.
func (s *sender) sendPictures(now time.Time) time.Duration {
	for {
		if s.unit.unit == nil && !s.nextPicture(now) {
			return 0
		}
		out := s.to.stream
		// Switched off or to another codec, or the caller has left that room.
		if s.to != present(s.leg.video.Load()) || s.unit.mix != s.leg.mixes.Load() {
			s.unit = queuedUnit{}
			continue
		}
		pace := float64(out.network.pace(now))
		if s.nextSend.Before(now.Add(-paceBurst)) {
			s.nextSend = now.Add(-paceBurst)
		}
		payloads := s.unit.unit.Payloads
		for s.payload < len(payloads) {
			if s.nextSend.After(now.Add(paceAhead)) {
				return s.nextSend.Sub(now)
			}
			b := payloads[s.payload]
			s.payload++
			s.write(out, s.to.formats.send.PayloadType, s.payload == len(payloads), s.timestamp, b)
			s.nextSend = s.nextSend.Add(time.Duration(float64(len(b)*8) / pace * float64(time.Second)))
		}
		s.unit = queuedUnit{}
	}
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
		case to.stream == nil || string(u.unit.Codec) != to.formats.send.Name || u.mix != s.leg.mixes.Load():
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

func (s *sender) write(out *Stream, payloadType uint8, marker bool, ts uint32, payload []byte) {
	s.header = rtp.Header{
		Version: 2, Marker: marker, PayloadType: payloadType,
		SequenceNumber: out.out.seq, Timestamp: ts, SSRC: out.media.SSRC,
	}
	out.out.seq++
	if err := out.media.Transport.WriteRTP(&s.header, payload); err != nil {
		out.metrics.writeErrors.Inc()
		return
	}
	out.metrics.packetsOut.Inc()
	out.metrics.bytesOut.Add(float64(len(payload)))
}
