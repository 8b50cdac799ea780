package av

// #include "shim.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// Resampler converts mono 16 bit sound between sample rates, block by block and without
// a seam. It is used from one goroutine.
type Resampler struct {
	in, out int
	swr     *C.SwrContext
}

// NewResampler returns a resampler from rate in to rate out, in Hz, which its caller closes.
// Where 20 ms are a whole number of samples at both rates, every 20 ms put in give 20 ms out
// from the first on; the filter's delay is made up of silence before the first sample. It
// fails for rates outside 1000 to 192000, and without memory.
func NewResampler(in, out int) (*Resampler, error) {
	quiet()
	if in < 1000 || in > 192000 || out < 1000 || out > 192000 {
		return nil, fmt.Errorf("av: cannot resample from %d to %d Hz", in, out)
	}
	r := &Resampler{in: in, out: out}
	if in == out {
		return r, nil
	}
	if r.swr = C.shim_resampler(C.int(in), C.int(out)); r.swr == nil {
		return nil, fmt.Errorf("av: opening a resampler from %d to %d Hz failed", in, out)
	}
	silence := make([]int16, in/50)
	if _, err := r.Resample(nil, silence); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Resample appends the conversion of src, mono, to dst. It fails with ErrClosed after Close,
// unless both rates are the same; dst comes back as it was.
func (r *Resampler) Resample(dst, src []int16) ([]int16, error) {
	if len(src) == 0 {
		return dst, nil
	}
	if r.in == r.out {
		return append(dst, src...), nil
	}
	if r.swr == nil {
		return dst, ErrClosed
	}
	// One sample more than the ratio for rounding, and room for what the filter held back.
	room := len(src)*r.out/r.in + 64
	n := len(dst)
	if cap(dst)-n < room {
		dst = append(make([]int16, 0, n+room), dst...)
	}
	out := dst[n : n+room]
	ret := C.shim_resample(r.swr, (*C.int16_t)(unsafe.Pointer(&out[0])), C.int(room),
		(*C.int16_t)(unsafe.Pointer(&src[0])), C.int(len(src)))
	if ret < 0 {
		return dst, fmt.Errorf("av: resampling from %d to %d Hz failed", r.in, r.out)
	}
	return dst[:n+int(ret)], nil
}

// Close frees the filter, which Go's collector does not know. It may be called twice.
func (r *Resampler) Close() {
	if r.swr != nil {
		C.swr_free(&r.swr)
	}
}
