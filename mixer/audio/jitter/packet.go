package jitter

import "time"

// MaxPayload is the largest payload in bytes that a Buffer takes.
const MaxPayload = 1500

// Packet is what a Buffer has to know of an RTP packet.
type Packet struct {
	SSRC        uint32
	Sequence    uint16
	Timestamp   uint32
	Clock       int // RTP clock rate in Hz
	PayloadType uint8

	Samples       int  // duration of the payload in samples of 48 kHz, 1..5760
	Discontinuous bool // the sender falls silent after this packet (DTX)
	FEC           bool // the payload carries a copy of the packet before it
	Redundant     bool // a repetition out of a later packet (RFC 2198), which was pushed before it
	Level         int  // RFC 6464 level in -dBov, or -1; only passed through

	// Set by the buffer: the decoder has to forget its past before this packet; sound just before it was dropped.
	Restart, Jump bool
	Waited        time.Duration // how much longer than the fastest packets would have had to

	Payload []byte
}

// Action is what a Pull says is to be done.
type Action uint8

const (
	Idle    Action = iota // nothing comes: there is no sound at all
	Silence               // n samples of silence: waiting for sound that is not due yet, or DTX
	Play                  // decode the packet
	Lost                  // make up n samples; the packet follows them and may hold their FEC
	Stall                 // sound ran dry: conceal n samples, the delay grows by them
)

// String is the action in a word, for tests and logs. It panics for what is no Action.
func (a Action) String() string {
	return [...]string{"idle", "silence", "play", "lost", "stall"}[a]
}
