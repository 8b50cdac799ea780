package av

import (
	"image"
	"image/color"
	"testing"
)

func TestScale(t *testing.T) {
	src := NewPicture(640, 360)
	Fill(src, src.Bounds(), RGB(255, 0, 0))
	Fill(src, image.Rect(320, 0, 640, 360), RGB(0, 0, 255))
	dst := NewPicture(1280, 720)
	Fill(dst, dst.Bounds(), Colour{16, 128, 128})
	to := image.Rect(640, 360, 1280, 720)
	if err := Scale(dst, image.Rect(640, 360, 960, 540), src, src.Bounds()); err != nil {
		t.Fatal(err)
	}
	at := func(x, y int) Colour {
		return Colour{dst.Y[y*dst.StrideY+x], dst.U[y/2*dst.StrideU+x/2], dst.V[y/2*dst.StrideV+x/2]}
	}
	red, blue, black := RGB(255, 0, 0), RGB(0, 0, 255), Colour{16, 128, 128}
	for _, tc := range []struct {
		x, y int
		want Colour
	}{{638, 358, black}, {642, 362, red}, {790, 538, red}, {810, 362, blue}, {958, 538, blue}, {962, 400, black}, {700, 542, black}} {
		if got := at(tc.x, tc.y); got != tc.want {
			t.Errorf("at %d,%d: %v, want %v", tc.x, tc.y, got, tc.want)
		}
	}
	for _, bad := range []image.Rectangle{to.Add(image.Pt(2, 0)), image.Rect(1, 0, 101, 100), image.Rect(0, 0, 0, 0), image.Rect(-2, 0, 100, 100), image.Rect(0, 0, 101, 100)} {
		if err := Scale(dst, bad, src, src.Bounds()); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestRotate(t *testing.T) {
	src := NewPicture(64, 32)
	Fill(src, src.Bounds(), Colour{50, 100, 100})
	Fill(src, image.Rect(0, 0, 8, 8), Colour{200, 30, 40}) // left upper corner
	for degrees, corner := range map[int]image.Point{0: {2, 2}, 90: {29, 2}, 180: {61, 29}, 270: {2, 61}} {
		dst := NewPicture(64, 32)
		if degrees%180 != 0 {
			dst = NewPicture(32, 64)
		}
		if err := Rotate(dst, dst.Bounds(), src, degrees); err != nil {
			t.Fatal(err)
		}
		if got := dst.Y[corner.Y*dst.StrideY+corner.X]; got != 200 {
			t.Errorf("turned by %d: %d at %v", degrees, got, corner)
		}
		if got := dst.U[corner.Y/2*dst.StrideU+corner.X/2]; got != 30 {
			t.Errorf("turned by %d: U is %d at %v", degrees, got, corner)
		}
	}
	same := NewPicture(64, 32)
	if Rotate(same, same.Bounds(), src, 90) == nil || Rotate(same, same.Bounds(), src, 45) == nil {
		t.Error("a rotation that cannot be was done")
	}
}

func TestBlend(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 16, 16))
	for y := range 16 {
		for x := range 16 {
			if x < 8 {
				img.SetRGBA(x, y, color.RGBA{255, 255, 255, 255})
			} else if y < 8 {
				img.SetRGBA(x, y, color.RGBA{64, 64, 64, 128}) // half of a mid grey
			}
		}
	}
	o := NewOverlay(img)
	dst := NewPicture(32, 32)
	Fill(dst, dst.Bounds(), RGB(0, 0, 0))
	if err := Blend(dst, image.Pt(4, 4), o); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ x, y, lo, hi int }{{4, 4, 234, 236}, {11, 19, 234, 236}, {13, 5, 66, 76}, {13, 13, 16, 16}, {3, 3, 16, 16}, {20, 4, 16, 16}} {
		if got := int(dst.Y[tc.y*dst.StrideY+tc.x]); got < tc.lo || got > tc.hi {
			t.Errorf("luma at %d,%d is %d, want %d..%d", tc.x, tc.y, got, tc.lo, tc.hi)
		}
	}
	if err := Blend(dst, image.Pt(28, 28), o); err != nil {
		t.Errorf("over the edge: %v", err)
	}
	if err := Blend(dst, image.Pt(3, 4), o); err == nil {
		t.Error("an odd corner was taken")
	}
}

// TestPoolReuses holds pictures against their memory being given away.
func TestPoolReuses(t *testing.T) {
	pool := NewPool(32, 32)
	a := pool.Get()
	a.Retain()
	a.Release()
	if b := pool.Get(); b == a {
		t.Error("a held picture was given away")
	}
	a.Release()
	if b := pool.Get(); b != a {
		t.Error("a released picture was not reused")
	}
}
