package av

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// VideoEncoderConfig says what a VideoEncoder makes of pictures. All of it but Bitrate is for its whole life.
type VideoEncoderConfig struct {
	Codec         string // "H264" (constrained baseline, RFC 6184 mode 1) or "VP8"
	Width, Height int    // even
	FPS           int    // pictures per second that the bitrate is planned for
	Bitrate       int    // bit/s
	MaxSlice      int    // H264: bytes in a slice at most, so that each fits a packet; 0 for no limit
}

// VideoEncoder encodes pictures for live sending: one in, one out, no B frames, a key
// frame first and then only when asked for. It is used from one goroutine.
type VideoEncoder struct {
	cfg    VideoEncoderConfig
	cc     *astiav.CodecContext
	frame  *astiav.Frame
	pkt    *astiav.Packet
	level  H264Level
	reopen bool // the bitrate changed and the codec cannot follow while open

	started bool
	last    uint32 // 90 kHz, of the last picture
	clock   int64  // last, unwrapped
}

// NewVideoEncoder opens an encoder, which its caller closes. It fails if width or height is
// odd, zero or, together, more than MaxPixels, if FPS or Bitrate is not positive, and for a
// codec that is not H264 or VP8.
func NewVideoEncoder(cfg VideoEncoderConfig) (*VideoEncoder, error) {
	quiet()
	if cfg.Width <= 0 || cfg.Height <= 0 || cfg.Width%2 != 0 || cfg.Height%2 != 0 || cfg.Width*cfg.Height > MaxPixels {
		return nil, fmt.Errorf("av: cannot encode pictures of %dx%d", cfg.Width, cfg.Height)
	}
	if cfg.FPS <= 0 || cfg.Bitrate <= 0 {
		return nil, fmt.Errorf("av: cannot encode %d pictures per second into %d bit/s", cfg.FPS, cfg.Bitrate)
	}
	e := &VideoEncoder{cfg: cfg, frame: astiav.AllocFrame(), pkt: astiav.AllocPacket()}
	if err := e.open(); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (e *VideoEncoder) open() error {
	var name string
	var options map[string]string
	rate := fmt.Sprint(e.cfg.Bitrate)
	switch e.cfg.Codec {
	case "H264":
		name = "libx264"
		options = map[string]string{
			"preset": "superfast", "tune": "zerolatency", "profile": "baseline",
			// maxrate and bufsize make x264 obey a later change of the bitrate.
			"b": rate, "maxrate": rate, "bufsize": fmt.Sprint(e.vbvBuffer()),
			"forced-idr":  "1",
			"x264-params": x264Params(e.cfg),
		}
		e.level = leastH264Level(e.cfg.Width, e.cfg.Height, e.cfg.FPS, e.cfg.Bitrate)
		options["level"] = fmt.Sprint(e.level.IDC)
	case "VP8":
		name = "libvpx"
		options = map[string]string{
			"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0", "auto-alt-ref": "0",
			// Equal rates mean constant bitrate to libvpx.
			"b": rate, "minrate": rate, "maxrate": rate, "bufsize": fmt.Sprint(e.vbvBuffer()),
			"undershoot-pct": "95", "max-intra-rate": "600", "static-thresh": "1",
			"g": "99999", "qmin": "2", "qmax": "56",
		}
	default:
		return fmt.Errorf("av: no encoder for %q", e.cfg.Codec)
	}
	c := astiav.FindEncoderByName(name)
	if c == nil {
		return fmt.Errorf("av: FFmpeg was built without %s", name)
	}
	cc := astiav.AllocCodecContext(c)
	if cc == nil {
		return errors.New("av: out of memory for an encoder")
	}
	cc.SetWidth(e.cfg.Width)
	cc.SetHeight(e.cfg.Height)
	cc.SetPixelFormat(astiav.PixelFormatYuv420P)
	cc.SetTimeBase(astiav.NewRational(1, 90000))
	cc.SetFramerate(astiav.NewRational(e.cfg.FPS, 1))
	cc.SetThreadCount(1)
	if err := openCodec(cc, c, options); err != nil {
		cc.Free()
		return fmt.Errorf("av: opening the %s encoder: %w", e.cfg.Codec, err)
	}
	e.cc = cc
	return nil
}

// x264Params are what the FFmpeg options do not reach.
func x264Params(cfg VideoEncoderConfig) string {
	// Key frames come on demand only; SPS and PPS go with each of them.
	// Cameras and browsers convert by BT.601 and do not say so; players of recordings guess
	// BT.709 for large pictures unless told.
	params := "keyint=infinite:scenecut=0:repeat-headers=1:colormatrix=smpte170m"
	if cfg.MaxSlice > 0 {
		params += fmt.Sprintf(":slice-max-size=%d", cfg.MaxSlice)
	}
	return params
}

// vbvBuffer is the rate control's buffer in bits: half a second.
func (e *VideoEncoder) vbvBuffer() int { return e.cfg.Bitrate / 2 }

// Encode encodes one picture of the configured size. pts is on the 90 kHz clock and may wrap.
// data is an Annex B access unit (H264) or one VP8 frame, valid until the next call; it is
// empty when the encoder skipped the picture to keep its bitrate. It fails for a picture of
// another size, when the codec does, and with ErrClosed after Close.
func (e *VideoEncoder) Encode(p *Picture, pts uint32, forceKey bool) (data []byte, key bool, err error) {
	if e.frame == nil {
		return nil, false, ErrClosed
	}
	if p.Width != e.cfg.Width || p.Height != e.cfg.Height {
		return nil, false, fmt.Errorf("av: a picture of %dx%d for an encoder of %dx%d", p.Width, p.Height, e.cfg.Width, e.cfg.Height)
	}
	if e.reopen {
		e.cc.Free()
		e.cc = nil
		if err := e.open(); err != nil {
			e.Close()
			return nil, false, err
		}
		e.reopen = false
		forceKey = true
	}
	step := int64(int32(pts - e.last))
	if !e.started {
		step, e.started = 0, true
	} else if step <= 0 {
		step = 1 // codecs want time to grow
	}
	e.last = pts
	e.clock += step

	force := C.int(0)
	if forceKey {
		force = 1
	}
	ret := C.shim_encode_video(
		(*C.AVCodecContext)(codecPointer(e.cc)), (*C.AVFrame)(e.frame.UnsafePointer()), (*C.AVPacket)(packetPointer(e.pkt)),
		(*C.uint8_t)(unsafe.Pointer(&p.Y[0])), (*C.uint8_t)(unsafe.Pointer(&p.U[0])), (*C.uint8_t)(unsafe.Pointer(&p.V[0])),
		C.int(p.StrideY), C.int(p.StrideU), C.int(p.StrideV), C.int64_t(e.clock), force)
	if ret < 0 {
		return nil, false, fmt.Errorf("av: encoding %s: %w", e.cfg.Codec, astiav.Error(ret))
	}
	data, key = packetData(e.pkt)
	return data, key, nil
}

// packetData is the packet's content without a copy, and whether it is a key frame.
func packetData(p *astiav.Packet) ([]byte, bool) {
	c := (*C.AVPacket)(packetPointer(p))
	if c.data == nil || c.size <= 0 {
		return nil, false
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(c.data)), int(c.size)), c.flags&C.AV_PKT_FLAG_KEY != 0
}

// SetBitrate changes the bitrate, in bit/s, from the next picture on. H264 follows at
// once, unless it needs a higher level; VP8 has to be reopened. The next picture is a key frame
// then: change it seldom.
func (e *VideoEncoder) SetBitrate(bitrate int) {
	if bitrate <= 0 || bitrate == e.cfg.Bitrate || e.cc == nil {
		return
	}
	e.cfg.Bitrate = bitrate
	if e.cfg.Codec == "H264" && bitrate <= e.level.Kilobits*1000 {
		C.shim_set_rate((*C.AVCodecContext)(codecPointer(e.cc)), C.int64_t(bitrate), C.int(e.vbvBuffer()))
		return
	}
	e.reopen = true
}

// Bitrate is what the encoder aims at, in bit/s.
func (e *VideoEncoder) Bitrate() int { return e.cfg.Bitrate }

// Close frees the codec, which Go's collector does not know. It may be called twice.
func (e *VideoEncoder) Close() {
	if e.cc != nil {
		e.cc.Free()
		e.cc = nil
	}
	if e.frame != nil {
		e.frame.Free()
		e.pkt.Free()
		e.frame, e.pkt = nil, nil
	}
}
