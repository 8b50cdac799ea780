package leg

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"rendezvous/mixer/av"
	"rendezvous/mixer/leg/congestion"
)

// Stream is one attached medium. It is a video.Source if its kind is Video.
type Stream struct {
	leg     *Leg
	media   Media
	log     *slog.Logger
	metrics mediaMetrics
	formats atomic.Pointer[formats]

	sound   atomic.Pointer[soundIn] // audio only; nil until something may come, as who only listens needs none
	picture *pictureIn              // video only
	dtmf    dtmf                    // reader goroutine only
	clock   senderClock
	network network
	flow    atomic.Pointer[congestion.Flow] // of Leg.reports; nil while Media.Congestion counts
	echoer  Echoer                          // nil: the transport is none
	silent  atomic.Bool                     // nothing is told to Media.Congestion, which does not count
	// reported is when the first receiver report came of what is sent. It belongs to who reads RTCP.
	reported time.Time
	seen     seen
	out      outState // sender goroutine only, but for the lock of its resends
	repeats  soundOut // audio only
	rate     soundRate

	readers sync.WaitGroup
	closing sync.Once
}

// comfortNoise is the static payload type of RFC 3389, which G.711 phones send in pauses
// without asking.
var comfortNoise = Codec{Name: "CN", PayloadType: 13, ClockRate: 8000}

// formats is what a stream may receive and is to send, replaced as a whole.
type formats struct {
	receive [128]*Codec // by payload type
	any     bool        // receive has an entry
	send    Codec
}

func newFormats(receive []Codec, send Codec) *formats {
	f := &formats{send: send}
	for _, c := range receive {
		if c.PayloadType < 128 {
			f.receive[c.PayloadType] = &c
			f.any = true
		}
	}
	return f
}

func newStream(l *Leg, m Media) (*Stream, error) {
	s := &Stream{leg: l, media: m, metrics: l.metrics.of(m.Kind),
		log: l.log.With("stream", m.Kind.String()+"/"+m.Label)}
	s.formats.Store(newFormats(m.Receive, m.Send))
	s.out.init()
	if m.Congestion == nil {
		s.flow.Store(l.reports.Flow())
		s.echoer, _ = m.Transport.(Echoer)
	}
	switch m.Kind {
	case Audio:
		if s.Receiving() {
			s.sound.Store(newSoundIn(s))
		}
	case Video:
		s.picture = newPictureIn(s)
	default:
		return nil, fmt.Errorf("attach medium: kind %d is neither audio nor video", m.Kind)
	}
	return s, nil
}

func (s *Stream) start() {
	if s.echoer != nil {
		s.echoer.OnEcho(s.leg.reports.Echo)
	}
	s.media.Transport.OnRTCP(func(packets []rtcp.Packet, err error) { s.control(packets, err, s.leg.cfg.Now()) })
	if p, ok := s.media.Transport.(Pusher); ok {
		var packet rtp.Packet
		s.readers.Add(1)
		if p.OnRTP(func(b []byte) { s.receive(&packet, b, s.leg.cfg.Now()) }, s.readers.Done) {
			return
		}
		s.readers.Done()
	}
	ended := make(chan struct{})
	s.readers.Go(func() {
		defer close(ended)
		s.readRTP()
	})
	if s.picture != nil {
		s.readers.Go(func() { s.picture.watch(ended) })
	}
}

// Label is the stream's label, "main" or "screen".
func (s *Stream) Label() string { return s.media.Label }

// Kind is Audio or Video.
func (s *Stream) Kind() Kind { return s.media.Kind }

// Receiving reports whether the caller may send on this stream.
func (s *Stream) Receiving() bool { return s.formats.Load().any }

// Update sets the payload formats after a renegotiation. An empty receive list or a
// zero send codec stops that direction (hold, video muted).
func (s *Stream) Update(receive []Codec, send Codec) {
	f := newFormats(receive, send)
	s.leg.mu.Lock()
	defer s.leg.mu.Unlock()
	if s.media.Kind == Audio && f.any && s.sound.Load() == nil && slices.Contains(s.leg.streams, s) {
		s.sound.Store(newSoundIn(s)) // it learns of f by the first packet
	}
	old := s.formats.Swap(f)
	if s.picture != nil && !f.any {
		s.picture.newest.clear()
	}
	if old.send != send && s.leg.video.Load() == s {
		s.leg.view.restart() // what has been sent is no reference for another codec
	}
	s.leg.chooseOutputs()
}

// SetRotation says how the caller's picture is to be turned, in degrees clockwise (0, 90, 180, 270).
func (s *Stream) SetRotation(degrees int) {
	if s.picture != nil {
		s.picture.rotation.Store(int32(((degrees%360)+360)%360/90) * 90)
		s.leg.generation.Add(1)
	}
}

// Rotation is what SetRotation said.
func (s *Stream) Rotation() int {
	if s.picture == nil {
		return 0
	}
	return int(s.picture.rotation.Load())
}

// Picture returns the newest decoded picture, retained for the caller, and its serial number.
func (s *Stream) Picture() (*av.Picture, uint64) {
	if s.picture == nil {
		return nil, 0
	}
	return s.picture.newest.get(s.leg.cfg.Now())
}

// Lacking reports whether what Picture returns has not been the caller's present picture for 2 s: more is coming, but cannot be
// decoded without a key frame, which has been asked for.
func (s *Stream) Lacking() bool { return s.picture != nil && s.picture.lacks(s.leg.cfg.Now()) }

// PictureReady is when the picture that Picture returns could be had first; zero if there is none.
func (s *Stream) PictureReady() time.Time {
	if s.picture == nil {
		return time.Time{}
	}
	ready, _ := s.picture.newest.times()
	return ready
}

// PictureSince is when the first picture was decoded of those that have been coming since there
// was none; zero if there is none.
func (s *Stream) PictureSince() time.Time {
	if s.picture == nil {
		return time.Time{}
	}
	return s.picture.newest.begun()
}

// SetShown says how large the stream's tile is on the canvas, in pixels; 0, 0
// if it is not shown at all. The sender is asked for no more than that, and what
// is not shown is not decoded.
func (s *Stream) SetShown(width, height int) {
	if s.picture != nil {
		s.picture.setShown(width, height)
	}
}

// Close detaches the medium and waits for its readers. The door closes the transport first.
func (s *Stream) Close() {
	s.closing.Do(func() {
		s.readers.Wait()
		s.leg.detach(s)
		s.release()
	})
}

// release gives back what decodes; the readers have ended, or never begun.
func (s *Stream) release() {
	if s.picture != nil {
		s.picture.close()
	}
	if sound := s.sound.Load(); sound != nil {
		sound.receiver.Close()
	}
	if flow := s.flow.Load(); flow != nil {
		s.leg.reports.Remove(flow)
	}
}

func (s *Stream) readRTP() {
	buf := make([]byte, maxPacketBytes+1) // the odd byte tells what was cut off
	var packet rtp.Packet
	for {
		n, err := s.media.Transport.ReadRTP(buf)
		if err != nil {
			s.log.Debug("RTP ends", "reason", err)
			return
		}
		s.receive(&packet, buf[:n], s.leg.cfg.Now())
	}
}

// receive takes one packet of the caller's; packet is scratch.
func (s *Stream) receive(packet *rtp.Packet, b []byte, now time.Time) {
	if len(b) > maxPacketBytes || packet.Unmarshal(b) != nil {
		s.metrics.malformed.Inc()
		return
	}
	s.leg.hear(now)
	if first := s.leg.cfg.OnFirst; first != nil && !s.leg.first.Load() && s.leg.first.CompareAndSwap(false, true) {
		first(s.media.Kind)
	}
	s.seen.got.Add(1)
	s.metrics.packetsIn.Inc()
	s.metrics.bytesIn.Add(float64(len(b)))
	f, sound := s.formats.Load(), s.sound.Load()
	codec := f.receive[packet.PayloadType]
	if codec == nil && sound != nil && f.any && packet.PayloadType == comfortNoise.PayloadType {
		codec = &comfortNoise
	}
	switch {
	case codec == nil:
		// Not negotiated, or switched off meanwhile.
	case codec.Name == "telephone-event":
		if key, ok := s.dtmf.push(packet.Timestamp, packet.Payload); ok {
			s.leg.Key(key)
		}
		if sound != nil {
			sound.push(codec, packet, now) // or its number would count as lost
		}
	case sound != nil:
		sound.push(codec, packet, now)
	case s.picture != nil:
		s.picture.push(codec, packet, now)
	}
}

// control takes what the caller says about what they are sent.
func (s *Stream) control(packets []rtcp.Packet, err error, now time.Time) {
	if err != nil {
		s.metrics.malformed.Inc()
		return
	}
	s.leg.hear(now)
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			if s.media.Kind == Video {
				s.leg.reports.Broken()
				s.leg.RequestKeyFrame()
			}
		case *rtcp.ReceiverEstimatedMaximumBitrate:
			s.leg.reports.Bound(float64(min(p.Bitrate, 1e9)))
		case *rtcp.TransportLayerNack:
			if s.media.Kind == Audio {
				s.repeats.note(p)
			}
			if (p.MediaSSRC == s.media.SSRC || s.media.SSRC == 0) && s.out.resends.request(p) {
				s.leg.sender.poke()
			}
		case *rtcp.ReceiverReport:
			s.measure(p.Reports, now)
		case *rtcp.SenderReport:
			s.measure(p.Reports, now)
			s.clock.report(p)
			if s.media.Kind == Audio {
				s.leg.releaseIdle(now)
			}
		}
	}
}

// sendRTCP writes feedback about what the caller sends.
func (s *Stream) sendRTCP(p rtcp.Packet) {
	if err := s.media.Transport.WriteRTCP([]rtcp.Packet{p}); err != nil {
		s.metrics.writeErrors.Inc()
	}
}
