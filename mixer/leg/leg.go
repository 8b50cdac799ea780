package leg

import (
	"log/slog"
	"time"
)

// Config are the parameters of a leg.
type Config struct {
	Log     *slog.Logger
	Metrics *Metrics

	// OnDTMF is told each key the caller presses (RFC 4733, or the door's own way
	// through Leg.Key): '0'..'9', '*', '#', 'A'..'D'. Called from a goroutine of the leg's; may be nil.
	OnDTMF func(key rune)
}

// Leg is the media of one caller. A door makes it, attaches the media it
// negotiated, gives it to conference.Room.Join, and closes it at the end.
type Leg struct {
	cfg Config
}

// New returns a leg without media.
func New(cfg Config) *Leg { return &Leg{cfg: cfg} }

// Attach adds a medium and starts its readers. The transport stays the door's to
// close; closing it ends the readers.
func (l *Leg) Attach(m Media) (*Stream, error) { return nil, nil }

// Play queues 48 kHz mono sound that only this caller hears and returns a channel that is
// closed when it has been played or dropped.
func (l *Leg) Play(pcm []int16) <-chan struct{} { return nil }

// StopPlaying drops what Play has queued.
func (l *Leg) StopPlaying() {}

// Key reports a key press that came by signalling (SIP INFO).
func (l *Leg) Key(key rune) {}

// RequestKeyFrame makes the next picture sent to this caller a key frame.
func (l *Leg) RequestKeyFrame() {}

// LastPacket is when the last RTP or RTCP packet came from the caller, of any medium.
func (l *Leg) LastPacket() time.Time { return time.Time{} }

// Close stops the leg and waits for its goroutines. The door closes the transports first.
func (l *Leg) Close() {}

// Stream is one attached medium.
type Stream struct{}

// Update sets the payload formats after a renegotiation. An empty receive list or a
// zero send codec stops that direction (hold, video muted).
func (s *Stream) Update(receive []Codec, send Codec) {}

// SetRotation says how the caller's picture is to be turned, in degrees clockwise (0, 90, 180, 270).
func (s *Stream) SetRotation(degrees int) {}

// Close detaches the medium. The door closes the transport first.
func (s *Stream) Close() {}

// Metrics are the legs' Prometheus metrics.
type Metrics struct{}

// Pipe is a plain pair of RTP and RTCP packet channels to a peer that has no RTP
// stack of its own below it: a phone's or Jami device's sockets after SRTP.
// Reads block; each is called from one goroutine; closing the pipe ends them.
type Pipe interface {
	ReadRTP(b []byte) (int, error)
	WriteRTP(b []byte) error
	ReadRTCP(b []byte) (int, error)
	WriteRTCP(b []byte) error
}

// SessionConfig are the parameters of a Session.
type SessionConfig struct {
	Kind    Kind
	SSRC    uint32 // ours
	CNAME   string
	Receive []Codec
	Send    Codec
	NACK    bool  // both sides repeat lost packets (a=rtcp-fb nack)
	PLI     bool  // the peer takes PLI (a=rtcp-fb nack pli, ccm fir)
	TWCC    uint8 // id of the transport-wide sequence number extension, 0 for none
	// SeparateRTCP sends every receiver report in a datagram of its own, without a
	// sender report before it (Jami reads only the first packet of a compound; spec/calls.md §8).
	SeparateRTCP bool
}

// Session is an RTP session over a Pipe: the pion interceptor chain (reports, NACK
// both ways) around raw packets. It is a Transport.
type Session struct{}

// NewSession starts a session; closing the pipe, then the session, ends it.
func NewSession(p Pipe, cfg SessionConfig) (*Session, error) { return nil, nil }
