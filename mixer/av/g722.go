package av

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// G722SampleRate is the rate of G.722's sound in Hz. (Its RTP clock is 8000, RFC 3551 §4.5.2.)
const G722SampleRate = 16000

// maxG722Payload bounds one packet: 120 ms.
const maxG722Payload = 960

// G722Encoder encodes 16 kHz mono sound at 64 kbit/s. It is used from one goroutine.
type G722Encoder struct {
	cc    *astiav.CodecContext
	frame *astiav.Frame
	pkt   *astiav.Packet
}

// NewG722Encoder opens an encoder (ITU-T G.722 at 64 kbit/s), which its caller closes. It
// fails only where this FFmpeg lacks the codec, or memory.
func NewG722Encoder() (*G722Encoder, error) {
	cc, err := openG722(astiav.FindEncoder(astiav.CodecIDAdpcmG722))
	if err != nil {
		return nil, fmt.Errorf("av: opening the G722 encoder: %w", err)
	}
	return &G722Encoder{cc: cc, frame: astiav.AllocFrame(), pkt: astiav.AllocPacket()}, nil
}

func openG722(c *astiav.Codec) (*astiav.CodecContext, error) {
	quiet()
	if c == nil {
		return nil, errors.New("FFmpeg was built without it")
	}
	cc := astiav.AllocCodecContext(c)
	if cc == nil {
		return nil, errors.New("out of memory")
	}
	cc.SetSampleRate(G722SampleRate)
	cc.SetSampleFormat(astiav.SampleFormatS16)
	cc.SetChannelLayout(astiav.ChannelLayoutMono)
	cc.SetTimeBase(astiav.NewRational(1, G722SampleRate))
	if err := openCodec(cc, c, nil); err != nil {
		cc.Free()
		return nil, err
	}
	return cc, nil
}

// Encode appends the encoding of pcm, one byte for two samples, to dst. pcm is 16 kHz mono,
// of even length; use the same length every time (320 for 20 ms). An odd or empty pcm is an
// error, and anything after Close is ErrClosed; dst comes back as it was.
func (e *G722Encoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	if e.cc == nil {
		return dst, ErrClosed
	}
	if len(pcm) == 0 || len(pcm)%2 != 0 {
		return dst, fmt.Errorf("av: %d samples for G722", len(pcm))
	}
	ret := C.shim_encode_s16((*C.AVCodecContext)(codecPointer(e.cc)), (*C.AVFrame)(e.frame.UnsafePointer()),
		(*C.AVPacket)(packetPointer(e.pkt)), (*C.int16_t)(unsafe.Pointer(&pcm[0])), C.int(len(pcm)))
	if ret < 0 {
		return dst, fmt.Errorf("av: encoding G722: %w", astiav.Error(ret))
	}
	data, _ := packetData(e.pkt)
	return append(dst, data...), nil
}

// Close frees the codec, which Go's collector does not know. It may be called twice.
func (e *G722Encoder) Close() {
	if e.cc == nil {
		return
	}
	e.cc.Free()
	e.frame.Free()
	e.pkt.Free()
	e.cc = nil
}

// G722Decoder decodes 64 kbit/s G.722. It is used from one goroutine.
type G722Decoder struct {
	cc       *astiav.CodecContext
	pkt      *astiav.Packet
	out, tmp *astiav.Frame
}

// NewG722Decoder opens a decoder (ITU-T G.722 at 64 kbit/s), which its caller closes. It
// fails only where this FFmpeg lacks the codec, or memory.
func NewG722Decoder() (*G722Decoder, error) {
	cc, err := openG722(astiav.FindDecoder(astiav.CodecIDAdpcmG722))
	if err != nil {
		return nil, fmt.Errorf("av: opening the G722 decoder: %w", err)
	}
	return &G722Decoder{cc: cc, pkt: astiav.AllocPacket(), out: astiav.AllocFrame(), tmp: astiav.AllocFrame()}, nil
}

// Decode appends the 16 kHz mono sound of one packet, two samples for each byte, to dst. A
// packet that is empty or of more than 960 bytes (120 ms) is an error, and anything after
// Close is ErrClosed; dst comes back as it was.
func (d *G722Decoder) Decode(dst []int16, payload []byte) ([]int16, error) {
	if d.cc == nil {
		return dst, ErrClosed
	}
	if len(payload) == 0 || len(payload) > maxG722Payload {
		return dst, fmt.Errorf("av: a G722 packet of %d bytes", len(payload))
	}
	var res C.shim_decoded
	ret := C.shim_decode((*C.AVCodecContext)(codecPointer(d.cc)), (*C.AVPacket)(packetPointer(d.pkt)),
		(*C.AVFrame)(d.out.UnsafePointer()), (*C.AVFrame)(d.tmp.UnsafePointer()),
		(*C.uint8_t)(unsafe.Pointer(&payload[0])), C.int(len(payload)), 0, maxKept, &res)
	if ret < 0 {
		return dst, fmt.Errorf("av: decoding G722: %w", astiav.Error(ret))
	}
	if res.got != 0 {
		f := (*C.AVFrame)(d.out.UnsafePointer())
		dst = append(dst, unsafe.Slice((*int16)(unsafe.Pointer(f.data[0])), int(f.nb_samples))...)
	}
	return dst, nil
}

// Close frees the codec, which Go's collector does not know. It may be called twice.
func (d *G722Decoder) Close() {
	if d.cc == nil {
		return
	}
	d.cc.Free()
	d.pkt.Free()
	d.out.Free()
	d.tmp.Free()
	d.cc = nil
}
