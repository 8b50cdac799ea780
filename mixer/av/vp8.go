package av

// #cgo pkg-config: vpx
// #include "vp8.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// vp8 is an open encoder of VP8.
type vp8 struct{ c *C.vp8_encoder }

func openVP8(cfg VideoEncoderConfig) (vp8, error) {
	var ret C.vpx_codec_err_t
	c := C.vp8_open(C.int(cfg.Width), C.int(cfg.Height), C.int(cfg.FPS), C.int(cfg.Bitrate), &ret)
	if c == nil {
		return vp8{}, fmt.Errorf("av: opening the VP8 encoder: %w", vp8Error(ret))
	}
	return vp8{c}, nil
}

func (v vp8) encode(p *Picture, forceKey bool) (data []byte, key bool, err error) {
	force := C.int(0)
	if forceKey {
		force = 1
	}
	var res C.vp8_encoded
	ret := C.vp8_encode(v.c,
		(*C.uint8_t)(unsafe.Pointer(&p.Y[0])), (*C.uint8_t)(unsafe.Pointer(&p.U[0])), (*C.uint8_t)(unsafe.Pointer(&p.V[0])),
		C.int(p.StrideY), C.int(p.StrideU), C.int(p.StrideV), force, &res)
	if ret != C.VPX_CODEC_OK {
		return nil, false, fmt.Errorf("av: encoding VP8: %w", vp8Error(ret))
	}
	if res.data == nil || res.size <= 0 {
		return nil, false, nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(res.data)), int(res.size)), res.key != 0, nil
}

// setRate cannot fail where the same configuration was taken with other rates; the old ones would stay.
func (v vp8) setRate(bitrate, fps int) { C.vp8_set_rate(v.c, C.int(bitrate), C.int(fps)) }

func (v vp8) close() { C.vp8_close(v.c) }

func vp8Error(ret C.vpx_codec_err_t) error {
	return errors.New("libvpx: " + C.GoString(C.vpx_codec_err_to_string(ret)))
}
