package ladder

import "time"

// Codec names a video codec as SDP does.
type Codec string

// The codecs the ladder can encode.
const (
	H264 Codec = "H264" // constrained baseline, packetization-mode 1 (RFC 6184)
	VP8  Codec = "VP8"  // RFC 7741
)

// Rung is one quality of the ladder, 0 the best.
type Rung struct {
	Width, Height int
	FPS           int // frames per second at most

	// What the encoder aims at, in bit/s: Bitrate for several viewers, and for one alone what they carry from
	// Min to Max. Min and Max of 0 are Bitrate.
	Min, Bitrate, Max int
}

// Want is one encode that a viewer needs.
type Want struct {
	Codec Codec
	Rung  int  // index into the ladder's rungs
	Key   bool // they can start only with a key frame (they are new, or lost the reference)

	// Bitrate is what the viewer's network carries for the picture, in bit/s. 0 says that nothing is known of it, or
	// that there is none: as if it carried the rung's own bitrate.
	Bitrate int

	// Base says that every second picture will do. They are made so while it will do for all who watch the encode.
	Base bool

	// Hold says that they watch, but no picture is to be made for them now.
	Hold bool
}

// Unit is one encoded picture, cut into RTP payloads once for all its viewers.
// It is shared and must not be written.
type Unit struct {
	Codec    Codec
	Rung     int
	Key      bool
	Number   uint32    // one more for each picture of an encode: after a gap only a key frame can be shown
	Bitrate  int       // bit/s that its encode aimed at
	PTS      uint32    // 90 kHz, the room's picture clock; the same for all rungs of one picture
	At       time.Time // when the picture was composed
	Data     []byte    // Annex B (H.264) or one VP8 frame
	Payloads [][]byte  // RTP payloads of at most MaxPayload bytes, in order; the last gets the marker
}

// MaxPayload is the largest RTP payload made, in bytes: RTP packets stay under
// 1200 bytes even with header extensions and SRTP tags (docs/jami/calls.md#rtp).
const MaxPayload = 1130

// Viewer is somebody (a leg, a recorder) who watches the room's picture. The
// ladder calls it from the room's picture goroutine; neither method may block.
type Viewer interface {
	// Watching changes nothing. It appends what the viewer needs encoded now: nothing, one rung, or two
	// while they change from one to another and wait for the new one's key frame.
	Watching(dst []Want) []Want

	// WriteUnit takes one encoded picture of a (codec, rung) they asked for; it queues and returns.
	WriteUnit(u *Unit)
}
