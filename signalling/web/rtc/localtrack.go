package rtc

import (
	"fmt"
	"strings"
	"sync"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v3"
)

// localTrack is what we send on one m-line. It exists before the connection does;
// what is written until then, or after it, is dropped.
type localTrack struct {
	kind    webrtc.RTPCodecType
	id      string
	codec   webrtc.RTPCodecParameters // as negotiated
	red     uint8                     // payload type of RED, which may be sent as well; 0: none
	control *control

	mu         sync.Mutex // guards all below, and keeps packets in the order of their numbers
	bound      *binding   // nil: nothing can be sent
	header     rtp.Header // scratch, as are the next two
	extensions [1]rtp.Extension
	number     [2]byte
}

// binding is how a track's packets leave.
type binding struct {
	ssrc        uint32
	pt          uint8
	transportCC uint8 // id of the header extension with transport-wide numbers, 0: none
	out         interceptor.RTPWriter
}

// Bind is pion's call when the connection can send. That to control.BindLocalStream follows.
func (t *localTrack) Bind(ctx webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	for _, c := range ctx.CodecParameters() {
		if strings.EqualFold(c.MimeType, t.codec.MimeType) && c.PayloadType == t.codec.PayloadType {
			t.control.bind(uint32(ctx.SSRC()), t)
			return c, nil
		}
	}
	return webrtc.RTPCodecParameters{}, fmt.Errorf("sending %s: %w", t.codec.MimeType, webrtc.ErrUnsupportedCodec)
}

// open says how packets leave.
func (t *localTrack) open(b *binding) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bound = b
}

// Unbind is pion's call when the connection no longer sends.
func (t *localTrack) Unbind(webrtc.TrackLocalContext) error {
	t.open(nil)
	return nil
}

func (t *localTrack) ID() string                { return t.id }
func (t *localTrack) RID() string               { return "" }
func (t *localTrack) StreamID() string          { return "room" }
func (t *localTrack) Kind() webrtc.RTPCodecType { return t.kind }

// write sends a packet with a transport-wide number, and tells the congestion controller. It goes past pion's
// TrackLocalWriter, which makes a map for each packet.
func (t *localTrack) write(h *rtp.Header, payload []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bound
	if b == nil {
		return nil
	}
	out := &t.header
	*out = *h
	out.SSRC = b.ssrc
	if t.red == 0 || out.PayloadType != t.red {
		out.PayloadType = b.pt
	}
	out.Extension, out.Extensions, out.ExtensionProfile = false, t.extensions[:0], 0
	if b.transportCC != 0 {
		number := t.control.next()
		t.number = [2]byte{byte(number >> 8), byte(number)}
		if err := out.SetExtension(b.transportCC, t.number[:]); err != nil {
			return fmt.Errorf("numbering a packet: %w", err)
		}
		t.control.controller.Sent(number, out.MarshalSize()+len(payload))
	}
	_, err := b.out.Write(out, payload, nil)
	return err
}
