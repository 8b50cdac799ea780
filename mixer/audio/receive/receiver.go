// Package receive turns one caller's RTP audio packets into the bus's 20 ms
// frames: jitter buffer, decoders by payload type, concealment, and the small
// stretches that keep the delay where it should be.
package receive

import (
	"log/slog"
	"time"

	"github.com/pion/rtp"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/audio/jitter"
)

// NoLevel is the level of a packet that carries no audio level extension.
const NoLevel = -1

// Config are the parameters of a Receiver.
type Config struct {
	Log    *slog.Logger
	Codecs map[uint8]codec.Params // by payload type; replaced by SetCodecs
	Jitter jitter.Config
	Now    func() time.Time // nil is time.Now; the clock of the arrivals given to Push
}

// Receiver is a caller's audio input. Push is called from the network's
// goroutine, ReadFrame and SkipFrame from the bus; the other methods from any.
type Receiver struct{}

// New returns a receiver without packets.
func New(cfg Config) *Receiver { return &Receiver{} }

// SetCodecs replaces the payload types that are understood; packets of others are counted and dropped.
func (r *Receiver) SetCodecs(codecs map[uint8]codec.Params) {}

// Push takes one RTP packet. level is its audio level (RFC 6464) in -dBov, 0..127,
// or NoLevel. h and payload are not kept. Packets of unknown payload type, among them
// telephone-events, are dropped and counted.
func (r *Receiver) Push(h *rtp.Header, payload []byte, level int, arrival time.Time) {}

// ReadFrame fills f with the next 20 ms and reports whether there is any sound in
// it. It is audio.Member's ReadFrame.
func (r *Receiver) ReadFrame(f *audio.Frame) bool { return false }

// SkipFrame passes over the next 20 ms without decoding them, for a member who is
// muted. It is audio.Skipper's method.
func (r *Receiver) SkipFrame() {}

// Stats returns the counters and the present delay.
func (r *Receiver) Stats() Stats { return Stats{} }

// Stats is what a Receiver has counted.
type Stats struct {
	Jitter jitter.Stats

	UnknownType  uint64 // packets of a payload type nobody negotiated
	DecodeErrors uint64 // payloads the decoder refused; concealed
	Concealed    uint64 // samples of 48 kHz made up for lost or late packets
	FECUsed      uint64 // packets restored from in-band FEC
	Accelerated  uint64 // samples of 48 kHz taken out to shorten the delay
	Expanded     uint64 // samples of 48 kHz put in to lengthen the delay
	Undecoded    uint64 // packets passed over because they are silent
}
