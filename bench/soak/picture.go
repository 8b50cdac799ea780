package main

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"time"

	"rendezvous/internal/lab/browser"
)

// eye is somebody who sees.
type eye interface {
	// look returns what they are shown now.
	look(ctx context.Context) (image.Image, error)
	// place returns where somebody is in it.
	place(name string) (place, error)
}

// place is where somebody's tile is on the canvas.
type place struct {
	tile   image.Rectangle
	canvas image.Point
}

// in is the place in a picture of the canvas, which may be smaller.
func (p place) in(img image.Image) image.Rectangle {
	size := img.Bounds().Size()
	scale := func(at image.Point) image.Point {
		return image.Pt(at.X*size.X/max(1, p.canvas.X), at.Y*size.Y/max(1, p.canvas.Y))
	}
	return image.Rectangle{Min: scale(p.tile.Min), Max: scale(p.tile.Max)}.Add(img.Bounds().Min)
}

// face is what somebody looks like: the colours of three upright parts of the picture of their
// camera, from left to right.
type face [3]color.RGBA

// plain is a camera of one colour.
func plain(c color.RGBA) face { return face{c, c, c} }

// near is how much a colour may differ in each channel: 8 bit, after two lossy codecs.
const near = 60

// in returns what is to be seen of a face in a tile, and whether it is that one.
func (f face) in(img image.Image, tile image.Rectangle) (seen face, ok bool) {
	ok = true
	for i, want := range f {
		middle := image.Pt(tile.Min.X+tile.Dx()*(2*i+1)/6, tile.Min.Y+tile.Dy()/2)
		around := image.Pt(max(1, tile.Dx()/20), max(1, tile.Dy()/20))
		seen[i] = browser.Median(img, image.Rectangle{Min: middle.Sub(around), Max: middle.Add(around)})
		ok = ok && browser.Near(seen[i], want, near)
	}
	return seen, ok
}

// sees waits until somebody sees a face where it belongs. It returns how long after began that was.
func sees(ctx context.Context, began time.Time, e eye, name string, f face) (time.Duration, error) {
	last := "nothing was shown"
	for {
		p, err := e.place(name)
		var img image.Image
		switch {
		case err != nil:
		case p.tile.Empty():
			last = "no tile"
		default:
			if img, err = e.look(ctx); err == nil {
				tile := p.in(img)
				seen, ok := f.in(img, tile)
				if ok && ctx.Err() == nil {
					return time.Since(began), nil
				}
				last = fmt.Sprintf("at %v of %v it is %v", tile, img.Bounds().Size(), seen)
			}
		}
		if err != nil && ctx.Err() == nil {
			last = err.Error()
		}
		if wait(ctx) != nil {
			return 0, fmt.Errorf("%v: %s", patience, last)
		}
	}
}
