package leg

import (
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"rendezvous/mixer/leg/congestion"
)

// Kind is audio or video.
type Kind uint8

// The kinds of media.
const (
	Audio Kind = iota + 1
	Video
)

// String is "audio" or "video", as in an m-line of SDP.
func (k Kind) String() string {
	switch k {
	case Audio:
		return "audio"
	case Video:
		return "video"
	}
	return "unknown"
}

// Codec is one payload format as SDP describes it.
type Codec struct {
	Name        string // as in rtpmap: "opus", "G722", "PCMU", "PCMA", "red", "telephone-event", "H264", "VP8", "H265"
	PayloadType uint8
	ClockRate   int
	Channels    int // audio only
	Fmtp        string

	// RED is, of a codec of sound to send, the payload type in which packets may repeat the ones before (RFC 2198); 0:
	// they may not.
	RED uint8
}

// Transport carries the packets of one medium (one m-line) of one caller, already
// decrypted. Peculiarities of a peer's RTCP are the transport's to translate:
// where a peer takes key-frame requests by SIP INFO, WriteRTCP turns a
// PictureLossIndication into one, and OnRTCP's taker gets one for theirs.
//
// ReadRTP blocks and returns an error once the transport is closed; it is called from one
// goroutine. The Write methods may be called from several.
type Transport interface {
	// ReadRTP reads one RTP packet into b.
	ReadRTP(b []byte) (n int, err error)
	// WriteRTP sends one packet. The transport may set SSRC and payload type to what
	// was negotiated; it keeps neither h nor payload.
	WriteRTP(h *rtp.Header, payload []byte) error
	// OnRTCP says who takes what the peer sends of RTCP. It is called once, before anything is read. take gets the packets of each
	// compound, or why it could not be read; it does not block, and may be called from several goroutines until the
	// transport is closed.
	OnRTCP(take func(packets []rtcp.Packet, err error))
	// WriteRTCP sends RTCP. Packets that the peer would not understand are left out.
	WriteRTCP(pkts []rtcp.Packet) error
}

// Pusher is a Transport that may hand over what comes, so that no goroutine has to wait for it.
type Pusher interface {
	// OnRTP says who takes the RTP packets that the peer sends, and reports whether they are handed over: if not, they are read by ReadRTP.
	// It is called once, before anything is read. take keeps nothing of b and does not block; it is called by one goroutine at a time. When the
	// transport has been closed, and take is not called any more, ended is called.
	OnRTP(take func(b []byte), ended func()) bool
}

// Echoer is a Transport whose peer answers small questions at once, which go by the same path as the media. By them is
// measured what peers report too seldom.
type Echoer interface {
	// OnEcho says who is told of each answer, and how long it took. It is called once, before anything is asked. take does not block.
	OnEcho(take func(trip time.Duration))
	// Ask sends a question, and reports whether it did: not where the path cannot. It does not block.
	Ask() bool
}

// Media describes one medium of a caller as their door negotiated it.
type Media struct {
	Kind      Kind
	Label     string // "main", or "screen" for a shared screen
	Transport Transport
	Receive   []Codec // what the caller may send, by payload type; empty: nothing is taken
	Send      Codec   // what they are to be sent; the zero Codec: nothing
	SSRC      uint32  // of what we send; where the transport sets its own, the same value

	// LevelExt is the id of the audio level header extension (RFC 6464) in
	// received packets, 0 if none was negotiated.
	LevelExt uint8

	// NoRepair says that the caller does not send lost packets again (no a=rtcp-fb nack), so
	// that a gap is not waited for longer than reordering takes.
	NoRepair bool

	// Congestion, where the peer gives transport-wide feedback, is the controller of this path, for all of the caller's media
	// together; the door tells it what leaves and what is reported. nil leaves the leg to judge by what its transport brings: receiver reports,
	// REMB, and answers to questions (Echoer).
	Congestion *congestion.Controller

	// MaxSendBitrate is the peer's limit (b=AS, b=TIAS, level) in bit/s, 0 for none.
	MaxSendBitrate int
}
