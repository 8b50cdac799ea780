package video

import (
	"image"
	"time"

	"rendezvous/mixer/av"
)

const (
	stalledAfter       = 3 * time.Second  // without a new picture a camera is taken for off
	screenStalledAfter = 15 * time.Second // a screen on which nothing moves sends next to nothing
)

// tile is one participant's place as the canvas keeps it from picture to picture.
type tile struct {
	Tile
	rect image.Rectangle // where the picture lies on the canvas, empty if it does not
	card image.Rectangle // the same or more: in the canvas's shape, with name and marks

	name     string // Name, fit to be drawn
	initials string
	hue      uint8 // of an avatar, in avatarColours
	more     int   // tiles that have no place; said on this one

	pic    *av.Picture // the newest, held; nil for none
	serial uint64
	fresh  time.Time // when it came
	video  bool      // it is shown; else the avatar
	past   bool      // it is shown greyed, with a mark: it is not the present one

	talkSince time.Time
	lastTalk  time.Time

	stale      bool // must be drawn although the picture is the same
	unseen     bool // the picture is newer than what is drawn
	drawnVideo bool
	waiting    bool        // for a label to be drawn
	lastLabel  *av.Overlay // as it was drawn last
}

// set takes over what the room wants of the tile.
func (t *tile) set(next Tile, now time.Time) {
	if t.Source != next.Source {
		t.drop()
	}
	if next.Talking && !t.Talking {
		t.talkSince = now
	}
	if next.Talking || t.Talking {
		t.lastTalk = now
	}
	if t.Name != next.Name || t.Muted != next.Muted || t.Hand != next.Hand || t.Talking != next.Talking || t.Screen != next.Screen || t.Rotate != next.Rotate {
		t.stale = true
	}
	if t.Name != next.Name || t.initials == "" {
		t.name = tidy(next.Name)
		t.initials, t.hue = initials(t.name), hueOf(next.Name)
	}
	t.Tile = next
}

// poll fetches the newest picture and reports whether the tile's shape may have changed.
func (t *tile) poll(now time.Time) (reshaped bool) {
	if t.Talking {
		t.lastTalk = now
	}
	was := t.video
	past := false
	var before image.Point
	if t.pic != nil {
		before = t.pic.Bounds().Size()
	}
	if t.Source != nil {
		past = t.Source.Lacking()
		switch pic, serial := t.Source.Picture(); {
		case pic == nil:
			t.drop()
		case t.pic == nil || serial != t.serial:
			if t.pic != nil {
				t.pic.Release()
			}
			t.pic, t.serial, t.fresh, t.unseen = pic, serial, now, true
		default:
			pic.Release()
		}
	}
	patience := stalledAfter
	if t.Screen {
		patience = screenStalledAfter
	}
	t.video = t.pic != nil && (past || now.Sub(t.fresh) <= patience)
	if past = past && t.video; past != t.past {
		t.past, t.stale = past, true
	}
	return t.video != was || t.video && t.pic.Bounds().Size() != before
}

// drop forgets the picture.
func (t *tile) drop() {
	if t.pic != nil {
		t.pic.Release()
	}
	t.pic, t.video, t.unseen = nil, false, false
}

func (t *tile) dirty() bool {
	return !t.rect.Empty() && (t.stale || t.video && t.unseen)
}

// shape is the tile's width to its height: the picture's, or the canvas's for an avatar.
func (t *tile) shape(canvas image.Point) image.Point {
	if !t.video {
		return canvas
	}
	size := t.pic.Bounds().Size()
	if t.Rotate%180 != 0 {
		return image.Pt(size.Y, size.X)
	}
	return size
}

// draw brings the tile on the canvas.
func (t *tile) draw(b *brush, sc scratch, framed bool) {
	if !t.video {
		av.Fill(b.dst, t.card, cardPlanar)
	} else {
		t.drawSides(b.dst)
		t.drawPicture(b.dst, sc)
		if t.past {
			av.Grey(b.dst, t.rect)
		}
	}
	b.missing = false
	t.decorate(b, framed)
	t.waiting = b.missing
	t.drawnVideo, t.stale, t.unseen = t.video, false, false
}

// drawSides fills what the picture leaves of its card.
func (t *tile) drawSides(dst *av.Picture) {
	c, r := t.card, t.rect
	for _, side := range []image.Rectangle{
		{c.Min, image.Pt(r.Min.X, c.Max.Y)}, {image.Pt(r.Max.X, c.Min.Y), c.Max},
		{c.Min, image.Pt(c.Max.X, r.Min.Y)}, {image.Pt(c.Min.X, r.Max.Y), c.Max},
	} {
		if !side.Empty() {
			av.Fill(dst, side, cardPlanar)
		}
	}
}

// drawPicture scales the picture into its place, turned as it has to be. Sizes agree by
// construction; a picture that cannot be scaled leaves the old one.
func (t *tile) drawPicture(dst *av.Picture, sc scratch) {
	if t.Rotate == 0 {
		sc.scale(dst, t.rect, t.pic)
		return
	}
	// Scaled first, fewer samples need turning.
	w, h := t.rect.Dx(), t.rect.Dy()
	if t.Rotate%180 != 0 {
		w, h = h, w
	}
	turned := sc.picture(turning, image.Pt(w, h))
	sc.scale(turned, turned.Bounds(), t.pic)
	_ = av.Rotate(dst, t.rect, turned, t.Rotate)
}
