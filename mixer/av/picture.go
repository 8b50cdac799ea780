package av

import "sync/atomic"

// Picture is one planar YUV 4:2:0 (I420) picture in memory that many readers
// may hold at once. Planes are never written after the picture has been handed on.
//
// Width and Height are in luma samples; U and V planes have half the size,
// rounded up. Whoever holds a picture calls Retain for each further holder
// and Release when done; the last Release gives the memory back to its pool
// or to FFmpeg.
type Picture struct {
	Width, Height             int
	Y, U, V                   []byte
	StrideY, StrideU, StrideV int

	refs    atomic.Int32
	release func(*Picture)
}

// NewPicture returns a picture over freshly allocated planes, with one holder.
func NewPicture(width, height int) *Picture {
	cw, ch := (width+1)/2, (height+1)/2
	buf := make([]byte, width*height+2*cw*ch)
	p := &Picture{
		Width: width, Height: height,
		Y: buf[: width*height : width*height], StrideY: width,
		U: buf[width*height : width*height+cw*ch : width*height+cw*ch], StrideU: cw,
		V: buf[width*height+cw*ch:], StrideV: cw,
	}
	p.refs.Store(1)
	return p
}

// Retain adds a holder and returns the picture, for chaining.
func (p *Picture) Retain() *Picture {
	p.refs.Add(1)
	return p
}

// Release drops a holder. After the last one the memory may be another picture's: who has released must not look at it.
func (p *Picture) Release() {
	if p.refs.Add(-1) == 0 && p.release != nil {
		p.release(p)
	}
}

// Shared reports whether anybody but the caller holds the picture.
func (p *Picture) Shared() bool { return p.refs.Load() > 1 }
