package av

// #include <libyuv/planar_functions.h>
// #include <libyuv/rotate.h>
// #include <libyuv/scale.h>
// #include "bilinear.h"
import "C"

import (
	"fmt"
	"image"
	"unsafe"
)

// Bounds is the picture's rectangle in luma samples.
func (p *Picture) Bounds() image.Rectangle { return image.Rect(0, 0, p.Width, p.Height) }

// Colour is one colour in the limited-range BT.601 that cameras and browsers use.
type Colour struct{ Y, U, V byte }

// RGB converts a colour of 0..255 each.
func RGB(r, g, b uint8) Colour {
	// BT.601, limited range, in 1/256.
	ri, gi, bi := int(r), int(g), int(b)
	return Colour{
		Y: byte((66*ri+129*gi+25*bi+128)>>8 + 16),
		U: byte((-38*ri-74*gi+112*bi+128)>>8 + 128),
		V: byte((112*ri-94*gi-18*bi+128)>>8 + 128),
	}
}

// inside reports whether r lies in p and on whole chroma samples: its corner even, its
// size even unless it ends at p's own odd edge.
func (p *Picture) inside(r image.Rectangle) bool {
	return r.In(p.Bounds()) && !r.Empty() && r.Min.X%2 == 0 && r.Min.Y%2 == 0 &&
		(r.Max.X%2 == 0 || r.Max.X == p.Width) && (r.Max.Y%2 == 0 || r.Max.Y == p.Height)
}

// at are C pointers to the samples of the three planes at an even corner.
func (p *Picture) at(c image.Point) (y, u, v *C.uint8_t) {
	return (*C.uint8_t)(unsafe.Pointer(&p.Y[c.Y*p.StrideY+c.X])),
		(*C.uint8_t)(unsafe.Pointer(&p.U[c.Y/2*p.StrideU+c.X/2])),
		(*C.uint8_t)(unsafe.Pointer(&p.V[c.Y/2*p.StrideV+c.X/2]))
}

// Scale fills the rectangle to of dst with the rectangle from of src. Making a picture
// smaller averages (box filter), making it larger interpolates. Corners must be
// even, sizes too unless they end at the picture's edge.
func Scale(dst *Picture, to image.Rectangle, src *Picture, from image.Rectangle) error {
	if !dst.inside(to) || !src.inside(from) {
		return fmt.Errorf("av: cannot scale %v of %v into %v of %v", from, src.Bounds(), to, dst.Bounds())
	}
	sy, su, sv := src.at(from.Min)
	dy, du, dv := dst.at(to.Min)
	if to.Size() == from.Size() {
		C.I420Copy(sy, C.int(src.StrideY), su, C.int(src.StrideU), sv, C.int(src.StrideV),
			dy, C.int(dst.StrideY), du, C.int(dst.StrideU), dv, C.int(dst.StrideV), C.int(to.Dx()), C.int(to.Dy()))
		return nil
	}
	if shrink(sy, src.StrideY, from.Dx(), from.Dy(), dy, dst.StrideY, to.Dx(), to.Dy()) &&
		shrink(su, src.StrideU, (from.Dx()+1)/2, (from.Dy()+1)/2, du, dst.StrideU, (to.Dx()+1)/2, (to.Dy()+1)/2) &&
		shrink(sv, src.StrideV, (from.Dx()+1)/2, (from.Dy()+1)/2, dv, dst.StrideV, (to.Dx()+1)/2, (to.Dy()+1)/2) {
		return nil
	}
	return scaleYUV(dst, to, src, from)
}

// scaleYUV is Scale by libyuv alone; the rectangles have been looked at.
func scaleYUV(dst *Picture, to image.Rectangle, src *Picture, from image.Rectangle) error {
	sy, su, sv := src.at(from.Min)
	dy, du, dv := dst.at(to.Min)
	ret := C.I420Scale(sy, C.int(src.StrideY), su, C.int(src.StrideU), sv, C.int(src.StrideV), C.int(from.Dx()), C.int(from.Dy()),
		dy, C.int(dst.StrideY), du, C.int(dst.StrideU), dv, C.int(dst.StrideV), C.int(to.Dx()), C.int(to.Dy()), C.kFilterBox)
	if ret != 0 {
		return fmt.Errorf("av: scaling %v to %v failed", from.Size(), to.Size())
	}
	return nil
}

// shrink scales one plane where that is faster than libyuv is: to less than its size, but more than half of it. libyuv
// interpolates two samples of a row at a time there.
func shrink(src *C.uint8_t, stride, width, height int, dst *C.uint8_t, dstStride, dstWidth, dstHeight int) bool {
	return C.bilinear(src, C.int(stride), C.int(width), C.int(height), dst, C.int(dstStride), C.int(dstWidth), C.int(dstHeight)) != 0
}

// Fill paints the rectangle r of dst, clipped to it; odd corners are moved out to even ones.
func Fill(dst *Picture, r image.Rectangle, c Colour) {
	r.Min.X &^= 1
	r.Min.Y &^= 1
	r.Max.X += r.Max.X & 1
	r.Max.Y += r.Max.Y & 1
	r = r.Intersect(dst.Bounds())
	if r.Empty() {
		return
	}
	C.I420Rect((*C.uint8_t)(unsafe.Pointer(&dst.Y[0])), C.int(dst.StrideY),
		(*C.uint8_t)(unsafe.Pointer(&dst.U[0])), C.int(dst.StrideU),
		(*C.uint8_t)(unsafe.Pointer(&dst.V[0])), C.int(dst.StrideV),
		C.int(r.Min.X), C.int(r.Min.Y), C.int(r.Dx()), C.int(r.Dy()), C.int(c.Y), C.int(c.U), C.int(c.V))
}

// Grey takes the colour out of the rectangle r of dst, clipped to it, and half of the light.
// r is even, as are its sizes unless they end at the picture's edge.
func Grey(dst *Picture, r image.Rectangle) {
	r = r.Intersect(dst.Bounds())
	if r.Empty() {
		return
	}
	const black, noColour = 16, 128 // of BT.601, limited range
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := dst.Y[y*dst.StrideY+r.Min.X : y*dst.StrideY+r.Max.X]
		for i, v := range row {
			row[i] = byte((max(int(v), black)-black)/2 + black)
		}
	}
	for y := r.Min.Y / 2; y < (r.Max.Y+1)/2; y++ {
		left, right := r.Min.X/2, (r.Max.X+1)/2
		u, v := dst.U[y*dst.StrideU+left:y*dst.StrideU+right], dst.V[y*dst.StrideV+left:y*dst.StrideV+right]
		for i := range u {
			u[i], v[i] = noColour, noColour
		}
	}
}

// Rotate turns src clockwise by 0, 90, 180 or 270 degrees into the rectangle to of dst, which
// has the turned size. Other angles, and a rectangle of another size or outside dst, are
// errors.
func Rotate(dst *Picture, to image.Rectangle, src *Picture, degrees int) error {
	size := src.Bounds().Size()
	var mode C.enum_RotationMode
	switch degrees {
	case 0:
		mode = C.kRotate0
	case 90:
		mode, size = C.kRotate90, image.Pt(size.Y, size.X)
	case 180:
		mode = C.kRotate180
	case 270:
		mode, size = C.kRotate270, image.Pt(size.Y, size.X)
	default:
		return fmt.Errorf("av: cannot rotate by %d degrees", degrees)
	}
	if !dst.inside(to) || to.Size() != size {
		return fmt.Errorf("av: %v turned by %d degrees does not fit %v of %v", src.Bounds().Size(), degrees, to, dst.Bounds())
	}
	sy, su, sv := src.at(image.Point{})
	dy, du, dv := dst.at(to.Min)
	if C.I420Rotate(sy, C.int(src.StrideY), su, C.int(src.StrideU), sv, C.int(src.StrideV),
		dy, C.int(dst.StrideY), du, C.int(dst.StrideU), dv, C.int(dst.StrideV), C.int(src.Width), C.int(src.Height), mode) != 0 {
		return fmt.Errorf("av: rotating by %d degrees failed", degrees)
	}
	return nil
}

// Overlay is a drawing with transparency, of even size. Draw it once, blend it often.
type Overlay struct {
	*Picture
	alpha, alphaUV []byte // of the luma and chroma planes, rows as wide as the planes
}

// NewOverlay converts a drawing. An odd width or height is cut to the even one below.
func NewOverlay(img *image.RGBA) *Overlay {
	b := img.Bounds()
	w, h := b.Dx()&^1, b.Dy()&^1
	o := &Overlay{Picture: NewPicture(w, h), alpha: make([]byte, w*h), alphaUV: make([]byte, w*h/4)}
	for y := 0; y < h; y += 2 {
		for x := 0; x < w; x += 2 {
			// Chroma is the average of four samples by their opacity, which is what their sum
			// of premultiplied colours divided by their sum of opacities is.
			var r, g, bl, a uint32
			for k := range 4 {
				dx, dy := x+k&1, y+k>>1
				c := img.RGBAAt(b.Min.X+dx, b.Min.Y+dy)
				r, g, bl, a = r+uint32(c.R), g+uint32(c.G), bl+uint32(c.B), a+uint32(c.A)
				o.alpha[dy*w+dx] = c.A
				o.Y[dy*o.StrideY+dx] = straight(uint32(c.R), uint32(c.G), uint32(c.B), uint32(c.A)).Y
			}
			c := straight(r, g, bl, a)
			i := y/2*(w/2) + x/2
			o.alphaUV[i] = byte(a / 4)
			o.U[i], o.V[i] = c.U, c.V
		}
	}
	return o
}

// straight is the colour whose premultiplied components are given.
func straight(r, g, b, a uint32) Colour {
	if a == 0 {
		return Colour{16, 128, 128}
	}
	return RGB(uint8(r*255/a), uint8(g*255/a), uint8(b*255/a))
}

// Blend puts o on dst with its left upper corner at an even point; what hangs over the edge to
// the right or below is left out. An odd or negative corner is an error.
func Blend(dst *Picture, corner image.Point, o *Overlay) error {
	r := image.Rectangle{corner, corner.Add(image.Pt(o.Width, o.Height))}
	r.Max.X, r.Max.Y = min(r.Max.X, dst.Width&^1), min(r.Max.Y, dst.Height&^1)
	if r.Empty() {
		return nil
	}
	if !dst.inside(r) {
		return fmt.Errorf("av: cannot put %dx%d at %v of %v", o.Width, o.Height, corner, dst.Bounds())
	}
	sy, su, sv := o.at(image.Point{})
	dy, du, dv := dst.at(r.Min)
	blendPlane(sy, o.StrideY, o.alpha, o.Width, dy, dst.StrideY, r.Dx(), r.Dy())
	blendPlane(su, o.StrideU, o.alphaUV, o.Width/2, du, dst.StrideU, r.Dx()/2, r.Dy()/2)
	blendPlane(sv, o.StrideV, o.alphaUV, o.Width/2, dv, dst.StrideV, r.Dx()/2, r.Dy()/2)
	return nil
}

func blendPlane(src *C.uint8_t, stride int, alpha []byte, alphaStride int, dst *C.uint8_t, dstStride, w, h int) {
	C.BlendPlane(src, C.int(stride), dst, C.int(dstStride), (*C.uint8_t)(unsafe.Pointer(&alpha[0])), C.int(alphaStride),
		dst, C.int(dstStride), C.int(w), C.int(h))
}
