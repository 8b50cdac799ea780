package video

import (
	"image"
	"image/color"
	"math"
	"strconv"

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

// brush blends drawings onto one picture and remembers whether all of them were there.
type brush struct {
	dst     *av.Picture
	labels  *labels
	missing bool
}

// blend puts a drawing at x, y; one that is not made yet comes with a later picture.
func (b *brush) blend(d drawing, x, y int) {
	if o := b.labels.get(d); o != nil {
		b.put(o, x, y)
	} else {
		b.missing = true
	}
}

// put blends at the nearest even point, which cannot fail on the canvas.
func (b *brush) put(o *av.Overlay, x, y int) { _ = av.Blend(b.dst, image.Pt(even(x), even(y)), o) }

// decorate draws what lies over the tile's picture.
func (t *tile) decorate(b *brush, framed bool) {
	s, r := styleOf(t.card.Size()), t.card
	if !t.video && s.avatar > 0 {
		b.blend(drawing{kind: avatarDisc, text: t.initials, hue: t.hue, size: s.avatar},
			r.Min.X+(r.Dx()-s.avatar)/2, r.Min.Y+(r.Dy()-s.avatar)/2)
	}
	if t.past {
		size := min(s.mark*2, even(min(t.rect.Dx(), t.rect.Dy())))
		if size > 0 {
			c := t.rect.Min.Add(t.rect.Max).Div(2)
			b.blend(drawing{kind: pastMark, size: size}, c.X-size/2, c.Y-size/2)
		}
	}
	if framed {
		t.frame(b, s)
	}
	t.label(b, s)
	if t.more > 0 {
		t.count(b, s)
	}
	if t.Hand {
		b.blend(drawing{kind: handMark, size: s.mark}, r.Min.X+s.margin, r.Min.Y+s.margin)
	}
}

// frame draws the edge of a tile, in the talker's colour where somebody talks.
func (t *tile) frame(b *brush, s style) {
	colour, thick, r := background, 2, t.card
	if t.Talking {
		colour, thick = talker, s.frame
	}
	av.Fill(b.dst, image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y+thick), colour)
	av.Fill(b.dst, image.Rect(r.Min.X, r.Max.Y-thick, r.Max.X, r.Max.Y), colour)
	av.Fill(b.dst, image.Rect(r.Min.X, r.Min.Y, r.Min.X+thick, r.Max.Y), colour)
	av.Fill(b.dst, image.Rect(r.Max.X-thick, r.Min.Y, r.Max.X, r.Max.Y), colour)
	d := drawing{size: s.corner, frame: thick, talk: t.Talking}
	right, bottom := r.Max.X-s.corner, r.Max.Y-s.corner
	d.kind = cornerTopLeft
	b.blend(d, r.Min.X, r.Min.Y)
	d.kind = cornerTopRight
	b.blend(d, right, r.Min.Y)
	d.kind = cornerBottomLeft
	b.blend(d, r.Min.X, bottom)
	d.kind = cornerBottomRight
	b.blend(d, right, bottom)
}

// count draws how many have no tile.
func (t *tile) count(b *brush, s style) {
	d := drawing{kind: nameLabel, text: "+" + strconv.Itoa(t.more), size: s.font * 3 / 2, width: even(t.card.Dx() - 2*s.margin)}
	if o := b.labels.get(d); o != nil {
		b.put(o, t.card.Max.X-s.margin-o.Width, t.card.Min.Y+s.margin)
	} else {
		b.missing = true
	}
}

// label draws the name; while a new one is being made the old one stays.
func (t *tile) label(b *brush, s style) {
	width := even(t.card.Dx() - 2*s.margin)
	if t.name == "" && !t.Muted && !t.Screen || width < 2*s.font {
		t.lastLabel = nil
		return
	}
	o := b.labels.get(drawing{kind: nameLabel, text: t.name, size: s.font, width: width, muted: t.Muted, share: t.Screen})
	if o == nil {
		b.missing = true
		if o = t.lastLabel; o == nil || o.Width > width {
			return
		}
	}
	t.lastLabel = o
	b.put(o, t.card.Min.X+s.margin, t.card.Max.Y-s.margin-o.Height)
}
