package audio

import (
	"sync/atomic"

	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/talk"
)

const (
	rampIn    = 240 // samples in which a talker's sound rises: 5 ms
	tail      = 240 // samples in which it falls where it ends without warning
	incumbent = 6.0 // dB that a talker is given over newcomers for the last places among the loudest
)

// seat is a member as the bus keeps him.
type seat struct {
	m    Member
	skip Skipper // nil if he is none

	muted, deaf atomic.Bool
	talking     atomic.Bool
	level       atomic.Uint32
	talkTicks   atomic.Int64

	isSolo bool
	solo   *seat // the one whom a solo tap hears, nil for nobody

	// What follows belongs to the tick.
	in       Frame   // what he adds to the mix, if sounds
	has      bool    // he had a frame this time
	open     bool    // the detector lets him through
	sounds   bool    // he is in the mix of this tick
	gain     bool    // his sound was at full gain at the end of the last frame
	last     int16   // his last sample in the mix
	loudness float64 // smoothed, in dBov
	detector *talk.Detector

	private    Frame
	hasPrivate bool

	isDeaf bool
	format Format
	out    output
}

func newSeat(m Member) *seat {
	s := &seat{m: m, detector: talk.New(talk.Mixing), loudness: talk.Silence}
	s.skip, _ = m.(Skipper)
	s.level.Store(uint32(talk.Header(talk.Silence)))
	return s
}

func (s *seat) close() { s.out.close() }

// read takes the member's frame and judges it.
func (s *seat) read() {
	muted := s.muted.Load()
	s.isDeaf = s.deaf.Load()
	if muted && s.skip != nil {
		s.skip.SkipFrame()
		s.has = false
	} else {
		s.has = s.m.ReadFrame(&s.in) && !muted
	}
	level := talk.Silence
	if s.has {
		level = talk.Level(s.in[:])
	}
	s.level.Store(uint32(talk.Header(level)))
	s.open = s.detector.Update(level) && !muted
	s.loudness += 0.2 * (level - s.loudness)
	s.hasPrivate = s.m.ReadPrivate(&s.private)
	s.format = s.m.Format().normal()
}

// shape gives the frame the slopes that keep its beginning and end from clicking. chosen says
// whether he is among the talkers mixed.
func (s *seat) shape(chosen bool) {
	switch {
	case chosen && s.has:
		if !s.gain {
			for i := range rampIn {
				s.in[i] = int16(int32(s.in[i]) * int32(i) / rampIn)
			}
		}
		s.sounds, s.gain, s.last = true, true, s.in[FrameSamples-1]
	case s.gain && s.has: // gated: the whole frame fades
		for i := range s.in {
			s.in[i] = int16(int32(s.in[i]) * int32(FrameSamples-i) / FrameSamples)
		}
		s.sounds, s.gain, s.last = true, false, 0
	case s.gain && s.last != 0: // ended, or muted
		for i := range tail {
			s.in[i] = int16(int32(s.last) * int32(tail-i) / tail)
		}
		clear(s.in[tail:])
		s.sounds, s.gain, s.last = true, false, 0
	default:
		s.sounds, s.gain, s.last = false, false, 0
	}
}

// hearSolo gives a solo tap its member's sound, as private sound to one who hears nothing else.
func (s *seat) hearSolo() {
	s.isDeaf = true
	if s.hasPrivate = s.solo != nil && s.solo.sounds; s.hasPrivate {
		s.private = s.solo.in
	}
}

// listens reports whether he is to be sent anything.
func (s *seat) listens() bool { return s.format.Codec != "" }

func (f Format) params(complexity int) codec.Params {
	return codec.Params{Name: f.Codec, Channels: f.Channels, Bitrate: f.Bitrate, Loss: f.Loss, DTX: f.DTX, Complexity: complexity}
}
