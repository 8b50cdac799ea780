package video

import (
	"image"

	"rendezvous/mixer/av"
)

// scratch keeps the pictures that scaling and turning need on the way, by use and size.
type scratch map[scratchKey]*av.Picture

type scratchKey struct {
	use  int
	size image.Point
}

// What a scratch picture is for: halving steps, and one to be turned.
const (
	halving = iota
	turning
)

const maxScratch = 64 // sizes; rooms have cameras of a few

func (s scratch) picture(use int, size image.Point) *av.Picture {
	k := scratchKey{use, size}
	p := s[k]
	if p == nil {
		if len(s) >= maxScratch {
			clear(s)
		}
		p = av.NewPicture(size.X, size.Y)
		s[k] = p
	}
	return p
}

// scale fills the rectangle to of dst with src. What shrinks to less than half, and not to
// exactly half or a quarter, is halved first: libyuv averages 2:1 thirty times faster than
// it does odd ratios, and nothing is lost by it.
func (s scratch) scale(dst *av.Picture, to image.Rectangle, src *av.Picture) {
	for {
		size, want := src.Bounds().Size(), to.Size()
		if size.X <= 2*want.X || size.Y <= 2*want.Y || size == want.Mul(4) {
			break
		}
		// Two or three columns or rows at the edge go where the size is no multiple of four.
		even := image.Rect(0, 0, size.X&^3, size.Y&^3)
		half := s.picture(halving, even.Size().Div(2))
		if half == src || av.Scale(half, half.Bounds(), src, even) != nil {
			break
		}
		src = half
	}
	_ = av.Scale(dst, to, src, src.Bounds())
}
