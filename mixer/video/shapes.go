package video

import (
	"image"
	"image/color"
	"math"
)

// A shape says how far a point is outside of it, in pixels; inside is negative.
type shape func(x, y float64) float64

func disc(cx, cy, r float64) shape {
	return func(x, y float64) float64 { return math.Hypot(x-cx, y-cy) - r }
}

// box is a rectangle with round corners.
func box(x0, y0, x1, y1, r float64) shape {
	cx, cy, hw, hh := (x0+x1)/2, (y0+y1)/2, (x1-x0)/2-r, (y1-y0)/2-r
	return func(x, y float64) float64 {
		dx, dy := math.Abs(x-cx)-hw, math.Abs(y-cy)-hh
		return math.Hypot(max(dx, 0), max(dy, 0)) + min(max(dx, dy), 0) - r
	}
}

// stroke is a line with round ends.
func stroke(x0, y0, x1, y1, r float64) shape {
	dx, dy := x1-x0, y1-y0
	length := dx*dx + dy*dy
	return func(x, y float64) float64 {
		t := 0.0
		if length > 0 {
			t = min(max(((x-x0)*dx+(y-y0)*dy)/length, 0), 1)
		}
		return math.Hypot(x-x0-t*dx, y-y0-t*dy) - r
	}
}

// outline is the line along the edge of a shape, r to each side.
func outline(s shape, r float64) shape {
	return func(x, y float64) float64 { return math.Abs(s(x, y)) - r }
}

func union(shapes ...shape) shape {
	return func(x, y float64) float64 {
		d := math.Inf(1)
		for _, s := range shapes {
			d = min(d, s(x, y))
		}
		return d
	}
}

func both(a, b shape) shape {
	return func(x, y float64) float64 { return max(a(x, y), b(x, y)) }
}

func not(a shape) shape {
	return func(x, y float64) float64 { return -a(x, y) }
}

// paint lays a colour over img where s is, with soft edges.
func paint(img *image.RGBA, s shape, c color.RGBA) {
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			cover := min(max(0.5-s(float64(x)+0.5, float64(y)+0.5), 0), 1) * float64(c.A) / 255
			if cover == 0 {
				continue
			}
			was := img.RGBAAt(x, y)
			mix := func(old, new uint8) uint8 { return uint8(float64(old)*(1-cover) + float64(new)*cover + 0.5) }
			img.SetRGBA(x, y, color.RGBA{mix(was.R, c.R), mix(was.G, c.G), mix(was.B, c.B), mix(was.A, 255)})
		}
	}
}

// microphoneOff is a crossed-out microphone in a square of side n at x, y.
func microphoneOff(x, y, n float64) (glyph, slash shape) {
	at := func(u, v float64) (float64, float64) { return x + u*n, y + v*n }
	line := max(0.045*n, 0.7)
	tx, ty := at(0.5, 0.22)
	bx, by := at(0.5, 0.44)
	capsule := stroke(tx, ty, bx, by, 0.14*n)
	_, below := at(0, 0.44)
	cradle := both(outline(disc(bx, by, 0.26*n), line), func(_, py float64) float64 { return below - py })
	sx, sy := at(0.5, 0.70)
	fx, fy := at(0.5, 0.84)
	foot := stroke(x+0.36*n, fy, x+0.64*n, fy, line)
	ax, ay := at(0.16, 0.12)
	zx, zy := at(0.84, 0.88)
	slash = stroke(ax, ay, zx, zy, line*1.15)
	gap := stroke(ax, ay, zx, zy, line*2.6)
	return both(union(capsule, cradle, stroke(sx, sy, fx, fy, line), foot), not(gap)), slash
}

// monitor is a screen on its foot in a square of side n at x, y.
func monitor(x, y, n float64) shape {
	line := max(0.045*n, 0.7)
	return union(
		outline(box(x+0.12*n, y+0.18*n, x+0.88*n, y+0.68*n, 0.06*n), line),
		stroke(x+0.5*n, y+0.68*n, x+0.5*n, y+0.82*n, line),
		stroke(x+0.34*n, y+0.84*n, x+0.66*n, y+0.84*n, line),
	)
}

// hand is a raised hand in a square of side n at x, y.
func hand(x, y, n float64) shape {
	finger := func(u0, v0, u1, v1, r float64) shape {
		return stroke(x+u0*n, y+v0*n, x+u1*n, y+v1*n, r*n)
	}
	return union(
		finger(0.34, 0.60, 0.32, 0.30, 0.055),
		finger(0.455, 0.58, 0.45, 0.19, 0.055),
		finger(0.57, 0.58, 0.575, 0.22, 0.055),
		finger(0.68, 0.60, 0.70, 0.33, 0.052),
		finger(0.34, 0.72, 0.185, 0.55, 0.055),
		box(x+0.285*n, y+0.50*n, x+0.735*n, y+0.88*n, 0.17*n),
	)
}
