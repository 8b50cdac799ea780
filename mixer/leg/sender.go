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
	paceBurst    = 4 * time.Millisecond   // of packets may leave back to back
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
	unit     queuedUnit
	payload  int       // next payload of unit
	nextSend time.Time // pacing
	header   rtp.Header
}

type soundPacket struct {
	payload []byte
	clock   uint64
	silent  bool
}

type queuedUnit struct {
	unit *ladder.Unit
	at   time.Time
}

// outState is the RTP state of one stream's sending side.
type outState struct {
	seq       uint16
	tsBase    uint32
	started   bool
	lastPTS   uint32
	lastTS    uint32
	lastAt    time.Time
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
func (s *sender) writeSound(p audio.Packet, now time.Time) {
	// A pause between rooms shows in the timestamps, in whole frames.
	if !s.lastWrite.IsZero() {
		if gap := now.Sub(s.lastWrite); gap > 10*audio.FrameDuration {
			s.clock += uint64(gap/audio.FrameDuration-1) * audio.FrameSamples
		}
	}
	s.lastWrite = now
	clock := s.clock
	s.clock += uint64(p.Samples)
	if s.sound.push(soundPacket{p.Payload, clock, p.Silent}) {
		if out := s.leg.audio.Load(); out != nil {
			out.metrics.queueDrops.Inc()
		}
	}
}

// writePicture queues one encoded picture.
func (s *sender) writePicture(u *ladder.Unit, now time.Time) {
	if s.pics.push(queuedUnit{u, now}) {
		s.pics.clear()
		s.leg.view.broken()
		if out := s.leg.video.Load(); out != nil {
			out.metrics.queueDrops.Inc()
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
		wait := s.sendPictures(time.Now())
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

func (s *sender) sendSound(p soundPacket) {
	out := s.leg.audio.Load()
	if out == nil {
		return
	}
	codec := out.formats.Load().send
	if codec.ClockRate == 0 {
		return
	}
	o := &out.out
	if p.silent && len(p.payload) == 0 {
		o.wasSilent = true
		return
	}
	ts := o.tsBase + uint32(p.clock*uint64(codec.ClockRate)/audio.SampleRate)
	s.write(out, codec.PayloadType, o.wasSilent, ts, p.payload)
	o.wasSilent = false
}

// sendPictures writes what the pace allows and returns how long to wait for the
// rest, 0 if there is none.
func (s *sender) sendPictures(now time.Time) time.Duration {
	for {
		if s.unit.unit == nil {
			u, ok := s.pics.pop()
			if !ok {
				return 0
			}
			if now.Sub(u.at) > staleAfter {
				s.pics.clear()
				s.leg.view.broken()
				if out := s.leg.video.Load(); out != nil {
					out.metrics.queueDrops.Inc()
				}
				continue
			}
			s.unit, s.payload = u, 0
		}
		out := s.leg.video.Load()
		if out == nil {
			s.unit = queuedUnit{}
			continue
		}
		codec := out.formats.Load().send
		ts := out.out.videoTimestamp(s.unit.unit.PTS, now)
		available, _ := out.network.available(now)
		// Faster than the path's mean, so that a key frame does not take long, but no burst.
		pace := float64(max(available*3/2, 4*minBitrate))
		if s.nextSend.Before(now.Add(-paceBurst)) {
			s.nextSend = now.Add(-paceBurst)
		}
		for s.payload < len(s.unit.unit.Payloads) {
			if s.nextSend.After(now) {
				return s.nextSend.Sub(now)
			}
			b := s.unit.unit.Payloads[s.payload]
			s.payload++
			s.write(out, codec.PayloadType, s.payload == len(s.unit.unit.Payloads), ts, b)
			s.nextSend = s.nextSend.Add(time.Duration(float64(len(b)*8) / pace * float64(time.Second)))
		}
		out.out.pictureDone(s.unit.unit.PTS, ts, now)
		s.unit = queuedUnit{}
	}
}

// videoTimestamp maps the room's picture clock to the stream's. A jump of that clock
// (another room) is replaced by the time that really went by.
func (o *outState) videoTimestamp(pts uint32, now time.Time) uint32 {
	if !o.started {
		return pts + o.tsBase
	}
	const jump = 90000 * 3
	if d := int32(pts - o.lastPTS); d < 0 || d > jump {
		ts := o.lastTS + uint32(now.Sub(o.lastAt).Seconds()*90000)
		o.tsBase = ts - pts
	}
	return pts + o.tsBase
}

func (o *outState) pictureDone(pts, ts uint32, now time.Time) {
	o.started, o.lastPTS, o.lastTS, o.lastAt = true, pts, ts, now
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
