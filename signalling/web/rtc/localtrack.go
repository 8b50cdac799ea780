package rtc

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v3"
)

// localTrack is what we send on one m-line. It exists before the connection does;
// what is written until then, or after it, is dropped.
type localTrack struct {
	kind  webrtc.RTPCodecType
	id    string
	codec webrtc.RTPCodecParameters // as negotiated
	red   uint8                     // payload type of RED, which may be sent as well; 0: none
	bound atomic.Pointer[binding]
}

type binding struct {
	ssrc uint32
	pt   uint8
	out  webrtc.TrackLocalWriter
}

// Bind is pion's call when the connection can send.
func (t *localTrack) Bind(ctx webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	for _, c := range ctx.CodecParameters() {
		if strings.EqualFold(c.MimeType, t.codec.MimeType) && c.PayloadType == t.codec.PayloadType {
			t.bound.Store(&binding{ssrc: uint32(ctx.SSRC()), pt: uint8(c.PayloadType), out: ctx.WriteStream()})
			return c, nil
		}
	}
	return webrtc.RTPCodecParameters{}, fmt.Errorf("sending %s: %w", t.codec.MimeType, webrtc.ErrUnsupportedCodec)
}

// Unbind is pion's call when the connection no longer sends.
func (t *localTrack) Unbind(webrtc.TrackLocalContext) error {
	t.bound.Store(nil)
	return nil
}

func (t *localTrack) ID() string                { return t.id }
func (t *localTrack) RID() string               { return "" }
func (t *localTrack) StreamID() string          { return "room" }
func (t *localTrack) Kind() webrtc.RTPCodecType { return t.kind }

func (t *localTrack) write(h *rtp.Header, payload []byte) error {
	b := t.bound.Load()
	if b == nil {
		return nil
	}
	out := *h // the interceptors write to it
	out.SSRC = b.ssrc
	if t.red == 0 || out.PayloadType != t.red {
		out.PayloadType = b.pt
	}
	out.Extension, out.Extensions, out.ExtensionProfile = false, nil, 0
	_, err := b.out.WriteRTP(&out, payload)
	return err
}
