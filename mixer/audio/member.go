package audio

import "time"

// The bus works on 48 kHz mono signed 16 bit samples in frames of 20 ms.
const (
	SampleRate    = 48000
	FrameDuration = 20 * time.Millisecond
	FrameSamples  = SampleRate / 50
)

// Frame is 20 ms of sound at SampleRate.
type Frame [FrameSamples]int16

// Format is what a member wants to be sent. Members whose formats are equal
// (==) and who are not talking share one encode.
type Format struct {
	Codec    string // "opus", "G722", "PCMU", "PCMA"; "L16" gives the 48 kHz mono samples themselves, big-endian
	Channels int    // 1 or 2; the bus is mono, 2 repeats it (only Opus)
	Bitrate  int    // bit/s; Opus only
	Loss     int    // expected packet loss in percent, Opus in-band FEC; quantised to 0, 10, 20 so that encodes stay shared
	DTX      bool   // Opus discontinuous transmission
}

// Packet is 20 ms of encoded sound. Payload is shared by many receivers and must not be written.
type Packet struct {
	Payload []byte
	Samples uint32 // duration in samples of SampleRate, always FrameSamples
	Silent  bool   // nothing is heard: a sender with DTX may leave it out
	Level   uint8  // loudness of the sound in -dBov, 0..127 (RFC 6465)
}

// Member is one participant as the bus sees them. The bus calls the methods from
// its own goroutines, never two of them at once for one member; none may block.
type Member interface {
	// ReadFrame fills f with the member's next 20 ms and reports whether there is
	// any sound in it; false means silence and f is not looked at. It is called once per tick.
	ReadFrame(f *Frame) bool

	// ReadPrivate fills f with sound for this member's ears alone (a prompt) and
	// reports whether there is any.
	ReadPrivate(f *Frame) bool

	// Format is what the member is to be sent now; the zero Format means nothing.
	Format() Format

	// WritePacket takes one frame, and the format that it was encoded in: the one that Format has said, its loss rounded. It
	// queues and returns.
	WritePacket(p Packet, in Format)
}
