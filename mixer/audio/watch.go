package audio

import (
	"time"

	"rendezvous/mixer/audio/echo"
	"rendezvous/mixer/audio/howl"
	"rendezvous/mixer/audio/talk"
)

// Processing is what the bus does with its members' sound besides mixing it.
type Processing struct {
	Ungated bool // background noise is mixed too
	Howling bool // look for it
	Echo    bool // look for it
}

// Sparer is a Member that does not decode what is background; the bus tells it to
// decode everything, or not to, as it gates its members or does not.
type Sparer interface {
	// SetSparing says whether sound stays undecoded that its sender calls background (RFC
	// 6464), or that looks like it. It must not block.
	SetSparing(on bool)
}

// Undecoded is a Member that knows how loud the background is that it does not decode.
type Undecoded interface {
	// UndecodedLevel is how loud, in dBov, the sound was that the frame read last lacks, as a whole or at an end; talk.Silence if
	// it lacks nothing. It must not block.
	UndecodedLevel() float64
}

// Holed is a Member whose sound comes over a network that loses some of it.
type Holed interface {
	// Holed reports whether some of the frame that was read last was made up for what was lost. It must not block.
	Holed() bool
}

// holeFrames is how long after a hole a decoder may not have found back to what was sent: a tone rises and falls by
// several dB, as if it grew.
const holeFrames = 15

// Fault is what is wrong with a member's sound.
type Fault struct {
	Howling bool          // their loudspeaker feeds their microphone
	Echo    time.Duration // their microphone repeats the meeting so late; 0: it does not
}

// SetProcessing says what is to be done with the members' sound; at first it is gated
// and not looked into.
func (b *Bus) SetProcessing(p Processing) { b.processing.Store(&p) }

// Fault is what is wrong with the member's sound now, of what SetProcessing has looked for.
func (b *Bus) Fault(m Member) Fault {
	s := b.slot(m)
	if s == nil {
		return Fault{}
	}
	return Fault{Howling: s.howls.Load(), Echo: time.Duration(s.echo.Load()) * FrameDuration}
}

// watch looks for trouble with one member's sound. It belongs to the tick.
type watch struct {
	sent uint8          // -dBov: the last frame they were sent
	hole int            // frames that are not looked into for howling, after one that was made up
	howl *howl.Detector // nil: not looked for
	echo *echo.Detector
}

// look takes the frame that a member has just given, if they have, and its level.
func (w *watch) look(p Processing, s *slot, level float64) {
	switch {
	case !p.Howling || s.muted.Load():
		w.howl = nil
		s.howls.Store(false)
	case w.holed(s):
		// Neither for it nor against it.
	default:
		if w.howl == nil {
			w.howl = new(howl.Detector)
		}
		if !s.has {
			level = talk.Silence
		}
		s.howls.Store(w.howl.Add(s.in[:], level))
	}
	switch {
	case !p.Echo || s.muted.Load() || !s.listens():
		w.echo = nil
		s.echo.Store(0)
	default:
		if w.echo == nil {
			w.echo = new(echo.Detector)
		}
		s.echo.Store(int64(w.echo.Add(-float64(w.sent), level) / FrameDuration))
	}
}

// holed reports whether the member's frame is a hole of the network's, or close behind one.
func (w *watch) holed(s *slot) bool {
	if s.has && s.holed != nil && s.holed.Holed() {
		w.hole = holeFrames
	}
	w.hole = max(0, w.hole-1)
	return w.hole > 0
}
