package av

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// VideoEncoderConfig says what a VideoEncoder makes of pictures. All of it but Bitrate and FPS is for its whole life.
type VideoEncoderConfig struct {
	Codec         string // "H264" (constrained baseline, RFC 6184 mode 1) or "VP8"
	Width, Height int    // even
	FPS           int    // pictures per second that the bitrate is planned for, at most
	Bitrate       int    // bit/s
	MaxBitrate    int    // H264: bit/s that SetBitrate reaches without a key frame; 0 for Bitrate
	MaxSlice      int    // H264: bytes in a slice at most, so that each fits a packet; 0 for no limit
}

// VideoEncoder encodes pictures for live sending: one in, one out, no B frames, a key
// frame first and then only when asked for. It is used from one goroutine.
type VideoEncoder struct {
	cfg VideoEncoderConfig
	fps int // that come now, cfg.FPS at most
	vp8 vp8 // VP8: all that follows is H264's

	cc     *astiav.CodecContext
	frame  *astiav.Frame
	pkt    *astiav.Packet
	level  H264Level
	reopen bool // the bitrate has outgrown the level
	fallen bool // the bitrate fell far since the last picture

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
	e := &VideoEncoder{cfg: cfg, fps: cfg.FPS}
	var err error
	switch cfg.Codec {
	case "H264":
		e.frame, e.pkt = astiav.AllocFrame(), astiav.AllocPacket()
		err = e.openH264()
	case "VP8":
		e.vp8, err = openVP8(cfg)
	default:
		err = fmt.Errorf("av: no encoder for %q", cfg.Codec)
	}
	if err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (e *VideoEncoder) openH264() error {
	e.level = leastH264Level(e.cfg.Width, e.cfg.Height, e.cfg.FPS, max(e.cfg.Bitrate, e.cfg.MaxBitrate))
	rate := fmt.Sprint(e.planned())
	options := map[string]string{
		"preset": "superfast", "tune": "zerolatency", "profile": "baseline", "level": fmt.Sprint(e.level.IDC),
		// maxrate and bufsize make x264 obey a later change of the bitrate.
		"b": rate, "maxrate": rate, "bufsize": fmt.Sprint(e.vbvBuffer()),
		"forced-idr":  "1",
		"x264-params": x264Params(e.cfg),
	}
	c := astiav.FindEncoderByName("libx264")
	if c == nil {
		return errors.New("av: FFmpeg was built without libx264")
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
		return fmt.Errorf("av: opening the H264 encoder: %w", err)
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

// vbvBuffer is the rate control's buffer in bits, 300 ms: a key frame gets half of what is in it, and the bitrate
// is kept over times that a path's own queue is long.
func (e *VideoEncoder) vbvBuffer() int { return e.cfg.Bitrate * 3 / 10 }

// Encode encodes one picture of the configured size. pts is on the 90 kHz clock and may wrap.
// data is an Annex B access unit (H264) or one VP8 frame, valid until the next call; it is
// empty when the encoder skipped the picture to keep its bitrate. It fails for a picture of
// another size, when the codec does, and with ErrClosed after Close.
func (e *VideoEncoder) Encode(p *Picture, pts uint32, forceKey bool) (data []byte, key bool, err error) {
	if err := e.takes(p); err != nil {
		return nil, false, err
	}
	if e.cfg.Codec == "VP8" {
		return e.vp8.encode(p, forceKey)
	}
	return e.encodeH264(p, pts, forceKey)
}

// takes says why p cannot be encoded.
func (e *VideoEncoder) takes(p *Picture) error {
	if e.frame == nil && e.vp8.c == nil {
		return ErrClosed
	}
	if p.Width != e.cfg.Width || p.Height != e.cfg.Height {
		return fmt.Errorf("av: a picture of %dx%d for an encoder of %dx%d", p.Width, p.Height, e.cfg.Width, e.cfg.Height)
	}
	return nil
}

func (e *VideoEncoder) encodeH264(p *Picture, pts uint32, forceKey bool) (data []byte, key bool, err error) {
	if e.reopen {
		e.cc.Free()
		e.cc = nil
		if err := e.openH264(); err != nil {
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
		e.widen() // two pictures' bits would make a poor key frame
	}
	ret := C.shim_encode_video(
		(*C.AVCodecContext)(codecPointer(e.cc)), (*C.AVFrame)(e.frame.UnsafePointer()), (*C.AVPacket)(packetPointer(e.pkt)),
		(*C.uint8_t)(unsafe.Pointer(&p.Y[0])), (*C.uint8_t)(unsafe.Pointer(&p.U[0])), (*C.uint8_t)(unsafe.Pointer(&p.V[0])),
		C.int(p.StrideY), C.int(p.StrideU), C.int(p.StrideV), C.int64_t(e.clock), force)
	if ret < 0 {
		return nil, false, fmt.Errorf("av: encoding H264: %w", astiav.Error(ret))
	}
	data, key = packetData(e.pkt)
	e.widen()
	return data, key, nil
}

// widen ends what SetRate does for a bitrate that fell far.
func (e *VideoEncoder) widen() {
	if e.fallen {
		e.fallen = false
		e.tellRate(e.vbvBuffer())
	}
}

// packetData is the packet's content without a copy, and whether it is a key frame.
func packetData(p *astiav.Packet) ([]byte, bool) {
	c := (*C.AVPacket)(packetPointer(p))
	if c.data == nil || c.size <= 0 {
		return nil, false
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(c.data)), int(c.size)), c.flags&C.AV_PKT_FLAG_KEY != 0
}

// SetBitrate changes the bitrate, in bit/s, from the next picture on. Only H264 that needs a higher level than
// MaxBitrate did is opened anew, with a key frame.
func (e *VideoEncoder) SetBitrate(bitrate int) { e.SetRate(bitrate, e.fps) }

// SetRate is SetBitrate where another number of pictures per second comes from now on, of those that the encoder was
// opened for at most.
func (e *VideoEncoder) SetRate(bitrate, fps int) {
	fps = min(fps, e.cfg.FPS)
	if bitrate <= 0 || fps <= 0 || bitrate == e.cfg.Bitrate && fps == e.fps {
		return
	}
	before := e.planned()
	e.cfg.Bitrate, e.fps = bitrate, fps
	switch {
	case e.vp8.c != nil:
		e.vp8.setRate(e.planned(), fps)
	case e.cc == nil:
	case bitrate > e.level.Kilobits*1000:
		e.reopen = true
	case e.fallen || e.planned() < before*4/5:
		// What x264 has left in its buffer at the old bitrate it would spend first: for 200 ms nothing
		// would change. With a buffer of two pictures the next one already is as small as it has to be.
		e.tellRate(min(e.vbvBuffer(), 2*bitrate/fps))
		e.fallen = true
	default:
		e.tellRate(e.vbvBuffer())
	}
}

// planned is the bitrate as the codec is told it. Codecs count pictures, not time: to them each picture lasts
// as long as when they were opened.
func (e *VideoEncoder) planned() int { return e.cfg.Bitrate * e.cfg.FPS / e.fps }

// tellRate gives the open H.264 encoder the bitrate, and a buffer of so many bits.
func (e *VideoEncoder) tellRate(buffer int) {
	C.shim_set_rate((*C.AVCodecContext)(codecPointer(e.cc)), C.int64_t(e.planned()), C.int(buffer))
}

// Bitrate is what the encoder aims at, in bit/s.
func (e *VideoEncoder) Bitrate() int { return e.cfg.Bitrate }

// Close frees the codec, which Go's collector does not know. It may be called twice.
func (e *VideoEncoder) Close() {
	if e.vp8.c != nil {
		e.vp8.close()
		e.vp8.c = nil
	}
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
