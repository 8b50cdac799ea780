package audio

import (
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/talk"
)

const (
	// primeFrames is how many frames of what a listener has heard an encoder is fed before it
	// takes over, so that its state agrees with that listener's decoder.
	primeFrames = 5

	// settleFrames is how long a private mix has to equal the shared one before its
	// listener goes back to the shared encode; by then both encoders are in the same state.
	settleFrames = 10
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

// open has an encoder for the format at hand, which takes over from another after h.
func (e *encoding) open(f Format, complexity int, h *history) error {
	if e.enc != nil && e.format == f {
		e.prime = h
		return nil
	}
	e.close()
	enc, err := codec.NewEncoder(f.params(complexity))
	if err != nil {
		return err
	}
	e.format, e.enc, e.prime = f, enc, h
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
	lastUsed int64 // tick
}

// output is the sound made for one member alone, while there is any.
type output struct {
	encoding
	on      bool
	begun   bool // in this tick
	deaf    bool // it was begun from silence, not from the room's sound
	equal   int  // ticks that it has equalled the shared sound
	limiter limiter
	mixed   Frame
	heard   history
}
