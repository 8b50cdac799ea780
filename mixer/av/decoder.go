package av

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// ErrClosed is returned by a codec after Close.
var ErrClosed = errors.New("av: closed")

// MaxPixels bounds the pictures a decoder takes: 4096x2304. A stream that claims
// more is refused before memory is spent on it.
const MaxPixels = 4096 * 2304

// maxKept bounds the bytes of the pictures that a stream may have its decoder keep for reference: six of 4096x2304.
// x264 keeps three, cameras and browsers one; H.264 allows sixteen, for which a stranger's stream would take 226 MB.
const maxKept = 96 << 20

// VideoDecoder turns one sender's frames into pictures. It is used from one
// goroutine; its pictures may be held and released from any, also after Close.
type VideoDecoder struct {
	codec   string
	cc      *astiav.CodecContext
	pkt     *astiav.Packet
	out     *astiav.Frame
	tmp     *astiav.Frame
	conv    *converter
	frames  *framePool
	needKey bool
	shown   bool // a picture has come out since the start
}

// NewVideoDecoder opens a decoder for one of "H264", "H265", "VP8", "VP9", "AV1" (as in SDP). It runs on the caller's
// thread and holds no picture back. It fails for other names, and where this FFmpeg lacks the decoder. Pictures of
// more than MaxPixels are errors of Decode.
func NewVideoDecoder(codec string) (*VideoDecoder, error) {
	quiet()
	var c *astiav.Codec
	switch codec {
	case "H264":
		c = astiav.FindDecoder(astiav.CodecIDH264)
	case "H265":
		c = astiav.FindDecoder(astiav.CodecIDHevc)
	case "VP8":
		c = astiav.FindDecoder(astiav.CodecIDVp8)
	case "VP9":
		c = astiav.FindDecoder(astiav.CodecIDVp9)
	case "AV1":
		c = astiav.FindDecoderByName("libdav1d")
	}
	if c == nil {
		return nil, fmt.Errorf("av: no decoder for %q", codec)
	}
	cc := astiav.AllocCodecContext(c)
	if cc == nil {
		return nil, errors.New("av: out of memory for a decoder")
	}
	cc.SetThreadCount(1)
	cc.SetTimeBase(astiav.NewRational(1, 90000))
	if err := openCodec(cc, c, map[string]string{
		"flags":      "low_delay",
		"max_pixels": fmt.Sprint(MaxPixels),
	}); err != nil {
		cc.Free()
		return nil, fmt.Errorf("av: opening the %s decoder: %w", codec, err)
	}
	return &VideoDecoder{
		codec: codec, cc: cc,
		pkt: astiav.AllocPacket(), out: astiav.AllocFrame(), tmp: astiav.AllocFrame(),
		frames: &framePool{}, needKey: true,
	}, nil
}

// openCodec opens cc with options and refuses an option that the codec did not take.
func openCodec(cc *astiav.CodecContext, c *astiav.Codec, options map[string]string) error {
	d := astiav.NewDictionary()
	defer d.Free()
	for k, v := range options {
		if err := d.Set(k, v, 0); err != nil {
			return err
		}
	}
	if err := cc.Open(c, d); err != nil {
		return err
	}
	if e := d.Get("", nil, astiav.NewDictionaryFlags(astiav.DictionaryFlagIgnoreSuffix)); e != nil {
		return fmt.Errorf("option %q is unknown to it", e.Key())
	}
	return nil
}

// Decode takes one frame: an Annex B access unit (H264, H265) or one VP8 or VP9
// frame, with its RTP timestamp (90 kHz). It returns the newest picture that came
// out, held by the caller, or nil when none did. Frames that cannot be decoded give an
// error and no picture; the decoder stays usable, from the next key frame on.
func (d *VideoDecoder) Decode(data []byte, pts uint32) (*Picture, error) {
	if d.cc == nil {
		return nil, ErrClosed
	}
	if len(data) == 0 {
		return nil, nil
	}
	var res C.shim_decoded
	ret := C.shim_decode(
		(*C.AVCodecContext)(codecPointer(d.cc)), (*C.AVPacket)(packetPointer(d.pkt)),
		(*C.AVFrame)(d.out.UnsafePointer()), (*C.AVFrame)(d.tmp.UnsafePointer()),
		(*C.uint8_t)(unsafe.Pointer(&data[0])), C.int(len(data)), C.int64_t(pts), maxKept, &res)

	var p *Picture
	var err error
	if res.got != 0 {
		p, err = d.picture()
		switch {
		case res.corrupt != 0:
			d.needKey = true
		case res.key != 0 || !d.shown:
			d.needKey = false
		}
		d.shown = true
	}
	if ret < 0 {
		d.needKey = true
		err = fmt.Errorf("av: decoding %s: %w", d.codec, astiav.Error(ret))
		if p != nil {
			p.Release()
			p = nil
		}
	}
	return p, err
}

// keyFrameNeeded reports whether what comes out is missing or damaged until the next
// key frame: nothing has been decoded yet, or a frame was broken.
func (d *VideoDecoder) keyFrameNeeded() bool { return d.needKey }

// picture wraps the decoded frame without copying it; formats other than 8 bit
// 4:2:0 are converted.
func (d *VideoDecoder) picture() (*Picture, error) {
	f := (*C.AVFrame)(d.out.UnsafePointer())
	w, h := int(f.width), int(f.height)
	switch f.format {
	case C.AV_PIX_FMT_YUV420P, C.AV_PIX_FMT_YUVJ420P:
		// Full-range (YUVJ) samples pass as they are: cameras that set the flag wrongly are
		// as common as those that mean it, and the difference is a little contrast.
	default:
		if d.conv == nil {
			d.conv = &converter{}
		}
		return d.conv.convert(f)
	}
	held := d.frames.get()
	C.av_frame_move_ref((*C.AVFrame)(held.frame.UnsafePointer()), f)
	f = (*C.AVFrame)(held.frame.UnsafePointer())
	p := &held.pic
	p.Width, p.Height = w, h
	ch := (h + 1) / 2
	p.StrideY, p.StrideU, p.StrideV = int(f.linesize[0]), int(f.linesize[1]), int(f.linesize[2])
	p.Y = plane(f.data[0], p.StrideY, w, h)
	p.U = plane(f.data[1], p.StrideU, (w+1)/2, ch)
	p.V = plane(f.data[2], p.StrideV, (w+1)/2, ch)
	if p.Y == nil || p.U == nil || p.V == nil {
		held.pic.refs.Store(0)
		d.frames.put(held)
		return nil, errors.New("av: decoder gave a picture without planes")
	}
	p.refs.Store(1)
	return p, nil
}

// plane is the memory of one plane: rows of stride bytes, the last only as long as it is wide.
func plane(data *C.uint8_t, stride, width, rows int) []byte {
	if data == nil || stride < width || rows <= 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(data)), stride*(rows-1)+width)
}

// Close frees the decoder. Pictures it gave stay valid until they are released.
func (d *VideoDecoder) Close() {
	if d.cc == nil {
		return
	}
	d.cc.Free()
	d.pkt.Free()
	d.out.Free()
	d.tmp.Free()
	if d.conv != nil {
		d.conv.close()
	}
	d.frames.close()
	d.cc = nil
}

// heldFrame is a picture over an AVFrame.
type heldFrame struct {
	pic   Picture
	frame *astiav.Frame
}

// framePool keeps released AVFrames for the next picture.
type framePool struct {
	mu     sync.Mutex // guards what follows
	free   []*heldFrame
	closed bool
}

func (fp *framePool) get() *heldFrame {
	fp.mu.Lock()
	defer fp.mu.Unlock()
	if n := len(fp.free); n > 0 {
		h := fp.free[n-1]
		fp.free = fp.free[:n-1]
		return h
	}
	h := &heldFrame{frame: astiav.AllocFrame()}
	h.pic.release = func(*Picture) { fp.put(h) }
	return h
}

func (fp *framePool) put(h *heldFrame) {
	h.pic.Y, h.pic.U, h.pic.V = nil, nil, nil
	h.frame.Unref()
	fp.mu.Lock()
	defer fp.mu.Unlock()
	if fp.closed {
		h.frame.Free()
		return
	}
	fp.free = append(fp.free, h)
}

func (fp *framePool) close() {
	fp.mu.Lock()
	defer fp.mu.Unlock()
	fp.closed = true
	for _, h := range fp.free {
		h.frame.Free()
	}
	fp.free = nil
}
