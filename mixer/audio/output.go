package audio

import (
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/talk"
)

const (
	// primeFrames is how many frames of what a listener has heard an encoder that cannot follow
	// another's state is fed before it takes over, so that it agrees roughly with that listener's decoder.
	primeFrames = 8

	// settleFrames is how long a private mix has to equal the shared one before its listener
	// may go back to the shared encode; by then both encoders are in nearly the same state. What
	// difference is left is hidden in a quiet moment, below quiet dBov, unless none comes within patience.
	settleFrames = 10
	quiet        = -42.0
	patience     = 250 // frames: 5 s
)

// history is the last frames of a mix.
type history struct {
	frames [primeFrames]Frame
	next   int
}

func (h *history) add(f *Frame) {
	h.frames[h.next] = *f
	h.next = (h.next + 1) % primeFrames
}

// encoding is one encoder and what it is to do in this tick.
type encoding struct {
	format Format
	enc    codec.Encoder
	prime  *history // feed it this first; nil if it goes on from the last tick
	pcm    *Frame
	packet Packet
	err    error
}

// open has an encoder for the format at hand, which takes over from another: from the given one where
// it can follow that, else from whatever made h.
func (e *encoding) open(f Format, complexity int, from codec.Encoder, h *history) error {
	if e.enc == nil || e.format != f {
		e.close()
		enc, err := codec.NewEncoder(f.params(complexity))
		if err != nil {
			return err
		}
		e.format, e.enc = f, enc
	}
	e.prime = h
	if from != nil && e.enc.Follow(from) {
		e.prime = nil
	}
	return nil
}

func (e *encoding) close() {
	if e.enc != nil {
		e.enc.Close()
		e.enc = nil
	}
}

// encode makes the tick's packet.
func (e *encoding) encode() {
	if h := e.prime; h != nil {
		e.prime = nil
		e.enc.Reset()
		var scratch [codec.MaxPayload]byte
		for i := range primeFrames {
			if _, e.err = e.enc.Encode(scratch[:0], h.frames[(h.next+i)%primeFrames][:]); e.err != nil {
				return
			}
		}
	}
	level := talk.Level(e.pcm[:])
	e.packet = Packet{Samples: FrameSamples, Silent: level == talk.Silence, Level: talk.Header(level)}
	e.packet.Payload, e.err = e.enc.Encode(nil, e.pcm[:])
}

// shared is the encode that all listeners of a format get.
type shared struct {
	encoding
	key              sharedKey
	used, usedBefore int64 // the last ticks it was used in
}

// standing is the encoder if it has encoded the tick before and not this one.
func (s *shared) standing(tick int64) codec.Encoder {
	if s == nil || s.err != nil || s.used != tick-1 && (s.used != tick || s.usedBefore != tick-1) {
		return nil
	}
	return s.enc
}

// output is the sound made for one member alone, while there is any.
type output struct {
	encoding
	on      bool
	begun   bool // in this tick
	deaf    bool // they hear their private sound alone
	wasDeaf bool // when this began
	equal   int  // ticks that it has equalled the shared sound
	limiter limiter
	mixed   Frame
	heard   history
}
