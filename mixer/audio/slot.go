package audio

import (
	"sync/atomic"

	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/gate"
	"rendezvous/mixer/audio/talk"
)

const (
	tail      = 240 // samples in which it falls where it ends without warning
	incumbent = 6.0 // dB that a talker is given over newcomers for the last places among the loudest
)

// slot is a member as the bus keeps them.
type slot struct {
	m         Member
	skip      Skipper   // nil if the member is none
	sparer    Sparer    // the same
	holed     Holed     // the same
	undecoded Undecoded // the same

	muted, deaf atomic.Bool
	talking     atomic.Bool
	level       atomic.Uint32
	talkTicks   atomic.Int64
	howls       atomic.Bool
	echo        atomic.Int64 // frames that they repeat the meeting late; 0: they do not

	isSolo bool
	solo   *slot // the one whom a solo tap hears, nil for nobody

	// What follows belongs to the tick.
	in       Frame // what they add to the mix, if sounds
	has      bool  // they had a frame this time
	ungated  bool  // as the member was told
	open     bool  // the detector lets them through
	sounds   bool  // they are in the mix of this tick
	slope    gate.Slope
	last     int16   // their last sample in the mix
	loudness float64 // smoothed, in dBov
	detector *talk.Detector
	watch    watch

	private    Frame
	hasPrivate bool

	isDeaf bool
	format Format
	out    *output   // nil: they have been sent nothing but what all are sent, as most in a large room are
	shared *shared   // what they have heard last, if that was everybody's
	sent   *encoding // in this tick; nil: nothing
}

func newSlot(m Member) *slot {
	s := &slot{m: m, detector: talk.New(talk.Mixing), loudness: talk.Silence, watch: watch{sent: talk.Header(talk.Silence)}}
	s.skip, _ = m.(Skipper)
	s.sparer, _ = m.(Sparer)
	s.holed, _ = m.(Holed)
	s.undecoded, _ = m.(Undecoded)
	s.level.Store(uint32(talk.Header(talk.Silence)))
	return s
}

func (s *slot) close() {
	if s.out != nil {
		s.out.close()
	}
}

// hasOwn reports whether they are sent a sound of their own in this tick.
func (s *slot) hasOwn() bool { return s.out != nil && s.out.on }

// read takes the member's frame and judges it.
func (s *slot) read(p Processing) {
	if s.sparer != nil && s.ungated != p.Ungated {
		s.ungated = p.Ungated
		s.sparer.SetSparing(!p.Ungated)
	}
	muted := s.muted.Load()
	s.isDeaf = s.deaf.Load()
	if muted && s.skip != nil {
		s.skip.SkipFrame()
		s.has = false
	} else {
		s.has = s.m.ReadFrame(&s.in) && !muted
	}
	level, onset := talk.Silence, talk.Silence
	if s.has {
		level = talk.Level(s.in[:])
		if onset = level; s.slope.Closed() {
			onset = gate.Onset(s.in[:])
		}
	}
	if s.undecoded != nil && !muted {
		// Of a frame that fades away or begins in the middle, too: nothing has become more silent than the background.
		undecoded := s.undecoded.UndecodedLevel()
		level, onset = max(level, undecoded), max(onset, undecoded)
	}
	s.level.Store(uint32(talk.Header(level)))
	s.open = s.detector.Update(onset)
	if p.Ungated {
		s.open = level > gate.Open.Least
	}
	s.open = s.open && !muted
	s.watch.look(p, s, level)
	s.loudness += 0.2 * (level - s.loudness)
	s.hasPrivate = s.m.ReadPrivate(&s.private)
	s.format = s.m.Format().normal()
}

// shape gives the frame the slopes that keep its beginning and end from clicking. chosen says
// whether they are among the talkers mixed.
func (s *slot) shape(chosen bool) {
	switch {
	case s.has && (chosen || !s.slope.Closed()):
		s.slope.Apply(s.in[:], chosen)
		s.sounds, s.last = true, s.in[FrameSamples-1]
	case !s.slope.Closed() && s.last != 0: // ended, or muted
		for i := range tail {
			s.in[i] = int16(int32(s.last) * int32(tail-i) / tail)
		}
		clear(s.in[tail:])
		s.slope.Cut()
		s.sounds, s.last = true, 0
	default:
		s.slope.Cut()
		s.sounds, s.last = false, 0
	}
}

// hearSolo gives a solo tap its member's sound, as private sound to one who hears nothing else.
func (s *slot) hearSolo() {
	s.isDeaf = true
	if s.hasPrivate = s.solo != nil && s.solo.sounds; s.hasPrivate {
		s.private = s.solo.in
	}
}

// listens reports whether they are to be sent anything.
func (s *slot) listens() bool { return s.format.Codec != "" }

func (f Format) params(complexity int) codec.Params {
	return codec.Params{Name: f.Codec, Channels: f.Channels, Bitrate: f.Bitrate, Loss: f.Loss, DTX: f.DTX, Complexity: complexity}
}
