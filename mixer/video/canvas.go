package video

import (
	"image"
	"slices"
	"sync"
	"time"

	"rendezvous/mixer/av"
)

// Canvas is the picture of one room. SetTiles, SetLayout, SetActive and Geometry may be
// called from anywhere; Compose from one goroutine.
type Canvas struct {
	size   image.Point
	labels *labels

	mu       sync.Mutex // guards what is asked for, and the geometry that came of it
	wished   wishes
	version  uint64 // of the wishes
	placed   []Placed
	placings uint64 // version of placed

	// What follows belongs to Compose.
	seen    uint64 // version of the wishes it knows
	layout  Layout // as it is wished
	drawnAs Layout // the same, or what Auto comes to
	pinned  string
	most    int
	tiles   []*tile
	stage   stage
	active  int
	shown   map[string]bool
	pool    *av.Pool
	picture *av.Picture
	scratch scratch
	drawn   uint64 // version of the labels it knows
}

type wishes struct {
	tiles  []Tile
	layout Layout
	pinned string
	most   int // tiles; 0: no more than maxTiles
}

// NewCanvas returns an empty canvas of width x height, both even.
func NewCanvas(width, height int) *Canvas {
	width, height = max(2, even(width)), max(2, even(height))
	return &Canvas{
		size: image.Pt(width, height), labels: newLabels(systemFonts()), active: -1,
		shown: map[string]bool{}, scratch: scratch{}, pool: av.NewPool(width, height), version: 1,
	}
}

// SetTiles says who is to be seen, in order. The canvas keeps the slice.
func (c *Canvas) SetTiles(tiles []Tile) {
	c.wish(func(w *wishes) { w.tiles = tiles })
}

// SetLayout chooses how the canvas is divided.
func (c *Canvas) SetLayout(l Layout) {
	c.wish(func(w *wishes) { w.layout = l })
}

// SetActive pins the tile with that id as the active one. An id that is not there, or "",
// leaves it to who talks.
func (c *Canvas) SetActive(id string) {
	c.wish(func(w *wishes) { w.pinned = id })
}

// SetMost says how many tiles are shown at most; 0: as many as there is room for.
func (c *Canvas) SetMost(n int) {
	c.wish(func(w *wishes) { w.most = n })
}

func (c *Canvas) wish(f func(*wishes)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.wished)
	c.version++
}

// Geometry says where the tiles lie on the picture that was composed last, in the order
// of SetTiles, and a version that grows with every change. The slice must not be written.
func (c *Canvas) Geometry() ([]Placed, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.placed, c.placings
}

// Compose brings the picture up to date and reports whether it differs from the one
// before. The picture stays the canvas's: it is valid until the next Compose; retain it to keep
// it longer, it will then not be written any more.
func (c *Canvas) Compose(now time.Time) (picture *av.Picture, changed bool) {
	rearrange := c.takeWishes(now) || c.picture == nil
	for _, t := range c.tiles {
		if t.poll(now) {
			rearrange = true
		}
	}
	screen := lastScreen(c.tiles)
	c.drawnAs = c.present(screen)
	active := c.stage.choose(c.tiles, c.pinned, c.drawnAs != SideBySide, now)
	if active != c.active {
		c.active, rearrange = active, true
	}
	if c.overfull() {
		rearrange = true // whoever talks now may have to come on
	}
	redraw := rearrange && c.arrange(screen)
	if v := c.labels.version(); v != c.drawn {
		c.drawn = v
		for _, t := range c.tiles {
			t.stale = t.stale || t.waiting
		}
	}
	if !redraw && !slices.ContainsFunc(c.tiles, (*tile).dirty) {
		return c.picture, false
	}
	c.own(redraw)
	if redraw {
		av.Fill(c.picture, c.picture.Bounds(), background)
	}
	b := brush{dst: c.picture, labels: c.labels}
	for _, t := range c.tiles {
		if !t.rect.Empty() && (redraw || t.dirty()) {
			t.draw(&b, c.scratch, t.card.Size() != c.size)
		}
	}
	return c.picture, true
}

// Close waits for what the canvas has started. Compose must not be called any more.
func (c *Canvas) Close() {
	c.labels.close()
	for _, t := range c.tiles {
		t.drop()
	}
	c.tiles = nil
	if c.picture != nil {
		c.picture.Release()
		c.picture = nil
	}
}

// takeWishes learns what has been asked for since the last picture.
func (c *Canvas) takeWishes(now time.Time) bool {
	c.mu.Lock()
	if c.seen == c.version {
		c.mu.Unlock()
		return false
	}
	c.seen = c.version
	w := c.wished
	c.mu.Unlock()

	c.layout, c.pinned, c.most = w.layout, w.pinned, w.most
	old := make(map[string]*tile, len(c.tiles))
	for _, t := range c.tiles {
		old[t.ID] = t
	}
	c.tiles = make([]*tile, 0, len(w.tiles))
	for _, next := range w.tiles {
		t := old[next.ID]
		if t == nil {
			t = &tile{}
		}
		delete(old, next.ID) // so that an id given twice makes two tiles
		t.set(next, now)
		c.tiles = append(c.tiles, t)
	}
	for _, t := range old {
		t.drop()
	}
	return true
}

// present is the layout that the canvas has now: Auto is one of the others, by who is pinned and what is shared.
func (c *Canvas) present(screen int) Layout {
	switch {
	case c.layout != Auto:
		return c.layout
	case slices.ContainsFunc(c.tiles, func(t *tile) bool { return t.ID == c.pinned && !t.Screen }):
		return OneBigWithSmall
	case screen >= 0:
		return besideScreen
	}
	return Grid
}

// overfull reports whether tiles compete for places.
func (c *Canvas) overfull() bool {
	return len(c.tiles) > places(c.most) || c.drawnAs != Grid && c.drawnAs != OneBig && len(c.tiles) > maxStrip
}

// arrange gives every tile its place and reports whether the picture must be drawn anew.
func (c *Canvas) arrange(screen int) (redraw bool) {
	s := scene{layout: c.drawnAs, size: c.size, count: len(c.tiles), most: c.most, active: c.active, screen: screen}
	cells := s.cells(audience{c.tiles, c.shown}.pick)
	placed := make([]Placed, len(c.tiles))
	clear(c.shown)
	for i, t := range c.tiles {
		rect := fit(cells[i], t.shape(c.size))
		card := fit(cells[i], c.size).Union(rect)
		if rect != t.rect || card != t.card || t.video != t.drawnVideo && !rect.Empty() {
			t.rect, t.card, t.stale, redraw = rect, card, true, true
		}
		if !rect.Empty() {
			c.shown[t.ID] = true
		}
		placed[i] = Placed{
			ID: t.ID, Rect: rect, Video: t.video && !rect.Empty(),
			Active: i == c.active && (c.drawnAs != Grid || t.ID == c.pinned),
		}
	}
	c.countHidden(screen)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(placed, c.placed) {
		redraw = redraw || len(placed) != len(c.placed)
		c.placed = placed
		c.placings++
	}
	return redraw || c.picture == nil
}

// countHidden has the last of the equal or small tiles say how many have no place beside them. Where one tile is meant to be
// alone nobody is missed.
func (c *Canvas) countHidden(screen int) {
	hidden := 0
	var last *tile
	for i, t := range c.tiles {
		big := c.drawnAs != Grid && (i == c.active || c.drawnAs == SideBySide && i == screen)
		switch {
		case t.rect.Empty():
			hidden++
		case !big:
			last = t
		}
	}
	for _, t := range c.tiles {
		more := 0
		if t == last && c.drawnAs != OneBig {
			more = hidden
		}
		if more != t.more {
			t.more, t.stale = more, true
		}
	}
}

// own makes sure that the canvas's picture may be written: that nobody else holds it.
func (c *Canvas) own(redraw bool) {
	if c.picture != nil && !c.picture.Shared() {
		return
	}
	next := c.pool.Get()
	if c.picture != nil {
		if !redraw {
			// Same size, so this cannot fail.
			_ = av.Scale(next, next.Bounds(), c.picture, c.picture.Bounds())
		}
		c.picture.Release()
	}
	c.picture = next
}
