// Package codec turns the bus's sound into payloads and back: Opus through
// libopus, G.722, and G.711 with its own tables. Everything it takes and gives is
// 48 kHz mono, whatever rate and channels the codec works with inside.
package codec

import (
	"errors"
	"fmt"
)

// FrameSamples is the length of the frames that encoders take: 20 ms at 48 kHz.
const FrameSamples = 960

// MaxSamples is the longest sound one packet can hold: 120 ms at 48 kHz (RFC 6716 §2.1.4).
const MaxSamples = 5760

// MaxPayload is the largest payload in bytes that an encoder makes of one frame
// (RFC 6716 §3.4 [R2], plus the TOC byte).
const MaxPayload = 1276

// ErrUnsupported is wrapped by the constructors when the codec is not known here.
var ErrUnsupported = errors.New("unsupported audio codec")

// Params describe a codec as SDP does.
type Params struct {
	Name     string // as in rtpmap, in any case: "opus", "G722", "PCMU", "PCMA"
	Channels int    // of the stream; 0 is 1. Decoders mix 2 down, Opus encoders repeat the sound on both

	// What follows is for Opus encoders only.
	Bitrate    int  // bit/s; 0 lets libopus choose
	Loss       int  // expected packet loss in percent; above 0 turns in-band FEC on
	DTX        bool // discontinuous transmission
	Complexity int  // 1..10; 0 is DefaultComplexity
}

// DefaultComplexity of Opus encoders: speech of nearly full quality at half the price of 10.
const DefaultComplexity = 5

// Encoder encodes one stream. It belongs to one goroutine at a time.
type Encoder interface {
	// Encode appends the payload of 20 ms of sound (FrameSamples) to dst[:0] and returns it.
	Encode(dst []byte, pcm []int16) ([]byte, error)
	// Reset forgets the stream's past, as if new.
	Reset()
}

// Decoder decodes one stream. It belongs to one goroutine at a time. Each method
// writes to pcm and returns how many samples it wrote.
type Decoder interface {
	// Decode decodes a payload. pcm should have room for MaxSamples.
	Decode(pcm []int16, payload []byte) (int, error)
	// Conceal fills pcm with a plausible continuation of what was decoded last, fading with time.
	Conceal(pcm []int16) int
	// Recover fills pcm, the sound of a lost packet, from the in-band FEC of the packet
	// after it; where that has none it conceals.
	Recover(pcm []int16, next []byte) int
	// Reset forgets the stream's past, as if new.
	Reset()
}

// NewEncoder returns an encoder for p.
func NewEncoder(p Params) (Encoder, error) {
	return nil, fmt.Errorf("%w %q", ErrUnsupported, p.Name)
}

// NewDecoder returns a decoder for p.
func NewDecoder(p Params) (Decoder, error) {
	return nil, fmt.Errorf("%w %q", ErrUnsupported, p.Name)
}
