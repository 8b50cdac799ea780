package video

import (
	"hash/fnv"
	"image"
	"image/color"
	"math"
)

// drawing names something that is drawn once and blended over tiles often.
type drawing struct {
	kind  kind
	text  string // name or initials
	size  int    // pixels: font size, diameter or side
	width int    // at most, of a label
	muted bool   // the label bears the muted mark
	share bool   // the label bears the mark of a shared screen
	hue   uint8  // of an avatar, in avatarColours
	frame int    // thickness of the frame that a corner belongs to
	talk  bool   // the corner of a talker's frame
}

type kind uint8

const (
	nameLabel kind = iota
	avatarDisc
	handMark
	pastMark
	cornerTopLeft
	cornerTopRight
	cornerBottomLeft
	cornerBottomRight
)

var (
	white      = color.RGBA{255, 255, 255, 255}
	labelBack  = color.RGBA{10, 12, 18, 176}
	mutedRed   = color.RGBA{255, 92, 92, 255}
	handYellow = color.RGBA{255, 196, 50, 255}
	handInk    = color.RGBA{60, 40, 0, 255}
)

// draw makes the drawing.
func (f *fonts) draw(d drawing) *image.RGBA {
	switch d.kind {
	case nameLabel:
		return f.drawLabel(d)
	case avatarDisc:
		return f.drawAvatar(d)
	case handMark:
		return drawHand(d.size)
	case pastMark:
		return drawPast(d.size)
	default:
		return drawCorner(d)
	}
}

// drawSafely draws without the text if that makes the text engine panic: names come from
// strangers and fonts from the system, and no name is worth the meeting.
func (f *fonts) drawSafely(d drawing) (img *image.RGBA) {
	defer func() {
		if recover() != nil {
			d.text = ""
			img = f.draw(d)
		}
	}()
	return f.draw(d)
}

// drawLabel is a dark pill with the name, after the mark of a muted microphone or a shared screen.
func (f *fonts) drawLabel(d drawing) *image.RGBA {
	size := float64(d.size)
	pad, height := size*0.5, math.Ceil(size*1.62)
	icon := 0.0
	if d.muted || d.share {
		icon = size * 1.12
	}
	var text line
	if d.text != "" {
		text = f.setLine(d.text, size, max(1, d.width-int(math.Ceil(2*pad+icon))))
	}
	gap := 0.0
	if icon > 0 && text.width > 0 {
		gap = size * 0.12
		pad *= 0.9
	}
	width := math.Min(math.Ceil(2*pad+icon+gap+text.width), float64(d.width))
	img := image.NewRGBA(image.Rect(0, 0, (int(width)+1)&^1, (int(height)+1)&^1))
	paint(img, box(0, 0, float64(img.Rect.Dx()), float64(img.Rect.Dy()), height*0.28), labelBack)
	x := pad
	switch {
	case d.share:
		paint(img, monitor(x-size*0.1, (height-icon)/2, icon), white)
	case d.muted:
		glyph, slash := microphoneOff(x-size*0.1, (height-icon)/2, icon)
		paint(img, glyph, white)
		paint(img, slash, mutedRed)
	}
	if icon > 0 {
		x += icon + gap
	}
	// The middle of the line of x-height and capitals sits in the middle of the pill.
	f.drawLine(img, text, x, math.Round(height/2+size*0.35), white)
	return img
}

// drawAvatar is a disc in the person's colour with their initials.
func (f *fonts) drawAvatar(d drawing) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, d.size, d.size))
	r := float64(d.size) / 2
	paint(img, disc(r, r, r), avatarColours[d.hue])
	size := float64(d.size) * 0.40
	text := f.setLine(d.text, size, 4*d.size)
	if wide := 0.78 * float64(d.size); text.width > wide {
		size *= wide / text.width
		text = f.setLine(d.text, size, 4*d.size)
	}
	f.drawLine(img, text, r-text.width/2, r+size*0.36, white)
	return img
}

// avatarColours are calm, and white can be read on each (a contrast of 4.7 to 1 or more). The browsers' page has the same.
var avatarColours = [...]color.RGBA{
	{0xa3, 0x3c, 0x3c, 255}, {0x9a, 0x69, 0x39, 255}, {0x77, 0x77, 0x2c, 255}, {0x56, 0x7e, 0x2e, 255},
	{0x30, 0x82, 0x30, 255}, {0x30, 0x82, 0x59, 255}, {0x2e, 0x7e, 0x7e, 255}, {0x3c, 0x70, 0xa3, 255},
	{0x3c, 0x3c, 0xa3, 255}, {0x70, 0x3c, 0xa3, 255}, {0xa3, 0x3c, 0xa3, 255}, {0xa3, 0x3c, 0x70, 255},
}

// hueOf gives everybody a colour that stays theirs: which of avatarColours it is.
func hueOf(name string) uint8 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return uint8(h.Sum32() % uint32(len(avatarColours)))
}

// drawHand is the mark of a raised hand.
func drawHand(size int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	n := float64(size)
	paint(img, disc(n/2, n/2, n/2), handYellow)
	paint(img, hand(n*0.14, n*0.12, n*0.72), handInk)
	return img
}

// drawPast is the mark of a picture that does not move on: three dots, as of somebody who is waited for.
func drawPast(size int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	n := float64(size)
	paint(img, disc(n/2, n/2, n/2), labelBack)
	for i := range 3 {
		paint(img, disc(n*(0.26+0.24*float64(i)), n/2, n*0.075), white)
	}
	return img
}

// drawCorner rounds one corner of a tile: canvas outside, then the frame.
func drawCorner(d drawing) *image.RGBA {
	n := float64(d.size)
	cx, cy := n, n // of the rounding, seen from the corner's own square
	if d.kind == cornerTopRight || d.kind == cornerBottomRight {
		cx = 0
	}
	if d.kind == cornerBottomLeft || d.kind == cornerBottomRight {
		cy = 0
	}
	img := image.NewRGBA(image.Rect(0, 0, d.size, d.size))
	outer := disc(cx, cy, n)
	inner := disc(cx, cy, n-float64(d.frame))
	if d.talk {
		paint(img, not(inner), talkerColour)
		paint(img, not(outer), backgroundColour)
	} else {
		paint(img, not(inner), backgroundColour)
	}
	return img
}
