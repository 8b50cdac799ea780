package video

import (
	"image"
	"image/color"
	"math"

	"rendezvous/mixer/av"
)

// The canvas's colours.
var (
	backgroundColour = color.RGBA{13, 16, 22, 255}
	cardColour       = color.RGBA{30, 35, 46, 255}
	talkerColour     = color.RGBA{64, 200, 120, 255}

	background = planar(backgroundColour)
	cardPlanar = planar(cardColour)
	talker     = planar(talkerColour)
)

func planar(c color.RGBA) av.Colour { return av.RGB(c.R, c.G, c.B) }

// style holds the measures of what is drawn over a tile, in pixels. They follow the tile's
// height, less than in proportion, so that names stay readable on small ones.
type style struct {
	font   int
	margin int
	frame  int // thickness
	corner int // radius
	mark   int // diameter
	avatar int // diameter
}

func styleOf(tile image.Point) style {
	h := float64(tile.Y)
	s := style{
		font:   int(math.Round(8.5 + h*0.03)),
		margin: even(int(max(4, h*0.028))),
		frame:  2,
		corner: even(int(min(max(h*0.04, 6), 16))),
		mark:   even(int(12 + h*0.085)),
		avatar: even(int(0.44 * min(h, float64(tile.X)))),
	}
	if tile.Y >= 200 {
		s.frame = 4
	}
	return s
}

// decorate draws what lies over the tile's picture, and reports whether all of it was
// there: what is still being drawn comes with a later picture.
func (t *tile) decorate(dst *av.Picture, l *labels, framed bool) (complete bool) {
	complete = true
	s := styleOf(t.card.Size())
	blend := func(d drawing, x, y int) *av.Overlay {
		o := l.get(d)
		if o == nil {
			complete = false
			return nil
		}
		_ = av.Blend(dst, image.Pt(even(x), even(y)), o)
		return o
	}
	r := t.card
	if !t.video && s.avatar > 0 {
		name := tidy(t.Name)
		blend(drawing{kind: avatarDisc, text: initials(name), hue: hueOf(name), size: s.avatar},
			r.Min.X+(r.Dx()-s.avatar)/2, r.Min.Y+(r.Dy()-s.avatar)/2)
	}
	if framed {
		t.frame(dst, s, blend)
	}
	t.label(dst, l, s, &complete)
	if t.Hand {
		blend(drawing{kind: handMark, size: s.mark}, r.Min.X+s.margin, r.Min.Y+s.margin)
	}
	return complete
}

// frame draws the edge of a tile, in the talker's colour where somebody talks.
func (t *tile) frame(dst *av.Picture, s style, blend func(drawing, int, int) *av.Overlay) {
	colour, thick, r := background, 2, t.card
	if t.Talking {
		colour, thick = talker, s.frame
	}
	av.Fill(dst, image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y+thick), colour)
	av.Fill(dst, image.Rect(r.Min.X, r.Max.Y-thick, r.Max.X, r.Max.Y), colour)
	av.Fill(dst, image.Rect(r.Min.X, r.Min.Y, r.Min.X+thick, r.Max.Y), colour)
	av.Fill(dst, image.Rect(r.Max.X-thick, r.Min.Y, r.Max.X, r.Max.Y), colour)
	d := drawing{size: s.corner, frame: thick, talk: t.Talking}
	right, bottom := r.Max.X-s.corner, r.Max.Y-s.corner
	for _, c := range []struct {
		kind kind
		x, y int
	}{{cornerTopLeft, r.Min.X, r.Min.Y}, {cornerTopRight, right, r.Min.Y}, {cornerBottomLeft, r.Min.X, bottom}, {cornerBottomRight, right, bottom}} {
		d.kind = c.kind
		blend(d, c.x, c.y)
	}
}

// label draws the name; while a new one is being made the old one stays.
func (t *tile) label(dst *av.Picture, l *labels, s style, complete *bool) {
	name := tidy(t.Name)
	width := even(t.card.Dx() - 2*s.margin)
	if name == "" && !t.Muted || width < 2*s.font {
		t.lastLabel = nil
		return
	}
	o := l.get(drawing{kind: nameLabel, text: name, size: s.font, width: width, muted: t.Muted})
	if o == nil {
		*complete = false
		if o = t.lastLabel; o == nil || o.Width > width {
			return
		}
	}
	t.lastLabel = o
	_ = av.Blend(dst, image.Pt(even(t.card.Min.X+s.margin), even(t.card.Max.Y-s.margin-o.Height)), o)
}
