package av

// #include "shim.h"
// #include <libswscale/swscale.h>
import "C"

import (
	"errors"
	"unsafe"
)

// converter turns decoded frames of other pixel formats (4:2:2, 4:4:4, 10 bit) into
// I420. Such streams are rare: simple beats fast here.
type converter struct {
	sws  *C.struct_SwsContext
	pool *Pool
}

func (c *converter) convert(f *C.AVFrame) (*Picture, error) {
	w, h := f.width, f.height
	c.sws = C.sws_getCachedContext(c.sws, w, h, int32(f.format), w, h, C.AV_PIX_FMT_YUV420P,
		C.SWS_FAST_BILINEAR, nil, nil, nil)
	if c.sws == nil {
		return nil, errors.New("av: picture format is not supported")
	}
	if c.pool == nil || c.pool.width != int(w) || c.pool.height != int(h) {
		c.pool = NewPool(int(w), int(h))
	}
	p := c.pool.Get()
	// sws_scale takes arrays of pointers; they live in C memory so that no Go pointer
	// to Go pointers crosses over.
	if ret := C.shim_convert(unsafe.Pointer(c.sws), f,
		(*C.uint8_t)(unsafe.Pointer(&p.Y[0])), (*C.uint8_t)(unsafe.Pointer(&p.U[0])), (*C.uint8_t)(unsafe.Pointer(&p.V[0])),
		C.int(p.StrideY), C.int(p.StrideU), C.int(p.StrideV)); ret < 0 {
		p.Release()
		return nil, errors.New("av: picture could not be converted")
	}
	return p, nil
}

func (c *converter) close() {
	C.sws_freeContext(c.sws)
	c.sws = nil
}
