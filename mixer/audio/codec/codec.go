// Package codec turns the bus's sound into payloads and back: Opus through
// libopus, G.722, and G.711 with its own tables; and, one way, to plain samples. Everything it takes and gives is
// 48 kHz mono, whatever rate and channels the codec works with inside.
package codec

import (
	"errors"
	"fmt"
	"strings"
)

// FrameSamples is the length of the frames that encoders take: 20 ms at 48 kHz.
const FrameSamples = 960

// MaxSamples is the longest sound one packet can hold: 120 ms at 48 kHz (RFC 6716 §2.1.4).
const MaxSamples = 5760

// ConcealQuantum is what the lengths given to Conceal and Recover are multiples of: 2.5 ms.
const ConcealQuantum = 120

// MaxPayload is the largest payload in bytes that an encoder makes of one frame
// (RFC 6716 §3.4 [R2], plus the TOC byte).
const MaxPayload = 1276

// ErrUnsupported is wrapped by the constructors when the codec is not known here.
var ErrUnsupported = errors.New("unsupported audio codec")

// Params describe a codec as SDP does.
type Params struct {
	Name     string // as in rtpmap, in any case: "opus", "G722", "PCMU", "PCMA"; for encoders also "L16"
	Channels int    // of the stream; decoders mix 2 down to 1, Opus encoders send 1 whatever it says (RFC 7587 §3.4)

	// What follows is for Opus encoders only.
	Bitrate    int  // bit/s; 0 lets libopus choose
	Loss       int  // expected packet loss in percent; above 0 turns in-band FEC on
	DTX        bool // discontinuous transmission: frames of zeros become payloads of a byte or two
	Complexity int  // 1..10; 0 is DefaultComplexity
}

// DefaultComplexity of Opus encoders: speech of nearly full quality at half the price of 10.
const DefaultComplexity = 5

// Encoder encodes one stream. It belongs to one goroutine at a time.
type Encoder interface {
	// Encode appends the payload of 20 ms of sound (FrameSamples) to dst and returns it. It fails if
	// pcm is of another length, or the library does; dst is then as it was.
	Encode(dst []byte, pcm []int16) ([]byte, error)
	// Follow makes the encoder go on where other, of the same Params, stands, so that a decoder of
	// other's stream can be given this one's from here on. It reports whether it could.
	Follow(other Encoder) bool
	// Reset forgets the stream's past, as if new.
	Reset()
	// Close frees what the encoder holds outside Go. Nothing else may be called after it.
	Close()
}

// Decoder decodes one stream. It belongs to one goroutine at a time.
type Decoder interface {
	// Decode decodes a payload to pcm, which has room for MaxSamples, and returns how many samples it
	// wrote. It fails on what is no payload of the codec; what comes next may be good again.
	Decode(pcm []int16, payload []byte) (int, error)
	// Conceal fills pcm with a plausible continuation of what was decoded last, fading
	// with time. len(pcm) is a multiple of ConcealQuantum.
	Conceal(pcm []int16)
	// Recover fills pcm, the sound missing before the packet next, from next's in-band
	// FEC as far as that goes back, and conceals the rest. len(pcm) is a multiple of ConcealQuantum.
	Recover(pcm []int16, next []byte)
	// Reset forgets the stream's past, as if new.
	Reset()
	// Close frees what the decoder holds outside Go. Nothing else may be called after it.
	Close()
}

type kind uint8

const (
	kindOpus kind = iota + 1
	kindG722
	kindPCMU
	kindPCMA
	kindL16
)

func kindOf(name string) (kind, error) {
	switch strings.ToUpper(name) {
	case "OPUS":
		return kindOpus, nil
	case "G722":
		return kindG722, nil
	case "PCMU":
		return kindPCMU, nil
	case "PCMA":
		return kindPCMA, nil
	case "L16":
		return kindL16, nil
	}
	return 0, fmt.Errorf("%w %q", ErrUnsupported, name)
}

// NewEncoder returns an encoder for p, which its caller closes. The error wraps ErrUnsupported for a
// name that is none of those of Params, else it is the library's about p.
func NewEncoder(p Params) (Encoder, error) {
	k, err := kindOf(p.Name)
	if err != nil {
		return nil, err
	}
	switch k {
	case kindOpus:
		return newOpusEncoder(p)
	case kindG722:
		return newG722Encoder()
	case kindL16:
		return l16Encoder{}, nil
	default:
		return newG711Encoder(k)
	}
}

// NewDecoder returns a decoder for p, which its caller closes. The error wraps ErrUnsupported for a
// name that is none of those of Params, and for "L16", which is only sent.
func NewDecoder(p Params) (Decoder, error) {
	k, err := kindOf(p.Name)
	if err != nil {
		return nil, err
	}
	switch k {
	case kindOpus:
		return newOpusDecoder()
	case kindG722:
		return newG722Decoder()
	case kindL16:
		return nil, fmt.Errorf("%w: %q cannot be received", ErrUnsupported, p.Name)
	default:
		return newG711Decoder(k)
	}
}

// ClockRate is the codec's RTP clock in Hz, 0 if the codec cannot be received. (G.722's is half
// its sampling rate, RFC 3551 §4.5.2.)
func ClockRate(name string) int {
	switch k, _ := kindOf(name); k {
	case kindOpus:
		return 48000
	case kindG722, kindPCMU, kindPCMA:
		return 8000
	}
	return 0
}

// Samples is how long a payload's sound is in samples of 48 kHz, 0 if the payload makes no sense.
func Samples(name string, payload []byte) int {
	switch k, _ := kindOf(name); k {
	case kindOpus:
		return opusSamples(payload)
	case kindG722, kindPCMU, kindPCMA:
		// One byte is 1/8000 s in all three.
		if n := 6 * len(payload); n <= MaxSamples {
			return n
		}
	}
	return 0
}

// Discontinuous reports whether the payload announces that its sender falls silent
// and may send nothing for a while (DTX).
func Discontinuous(name string, payload []byte) bool {
	k, _ := kindOf(name)
	// RFC 7587 §3.1.3 with libopus's practice: a TOC byte, and perhaps a second, without a frame.
	return k == kindOpus && len(payload) <= 2
}

// HasFEC reports whether the payload carries a copy of the packet before it.
func HasFEC(name string, payload []byte) bool {
	k, _ := kindOf(name)
	return k == kindOpus && opusHasFEC(payload)
}
