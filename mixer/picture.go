package mixer

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"rendezvous/mixer/ladder"
	"rendezvous/mixer/leg"
	"rendezvous/mixer/overload"
	"rendezvous/mixer/video"
)

const (
	pictureInterval = time.Second / 30
	idleInterval    = 200 * time.Millisecond // while nobody watches
)

// pictureLoop is the picture clock of a room that has somebody in it: it composes
// the canvas and feeds the ladder, 30 times a second while somebody watches.
type pictureLoop struct {
	mixer  *Mixer
	cancel context.CancelFunc
	ctx    context.Context
	before <-chan struct{} // closed when the clock before this one has ended; nil: there was none
	ended  chan struct{}   // closed when this one has

	// What the loop remembers from pass to pass; only its goroutine touches it.
	version    uint64
	generation uint64
	members    []shown
	viewers    []ladder.Viewer
	tiles      []video.Tile
	ids        []tileRef // parallel to tiles
	placedV    uint64
	composed   bool // there has been a picture
	hidden     bool // nobody watches, and that has been said
	streams    []*leg.Stream
	wants      []ladder.Want
	talking    []bool
	begun      map[*leg.Stream]time.Time // first pictures of the tiles that were shown last
	level      overload.Level            // what is given up
	odd        bool                      // the last picture was left out
	fresh      []time.Time               // those of them with which no picture has been encoded yet
	phase      phase
	looked     time.Time // at the pictures of the streams
}

// shown is a member as one pass sees them.
type shown struct {
	id    string
	port  *leg.Port
	seen  *presence
	attrs Attributes
}

type tileRef struct {
	id, label string
	stream    *leg.Stream // nil for an avatar
	seen      *presence   // whose stream it is
}

func newPictureLoop(m *Mixer, before <-chan struct{}) *pictureLoop {
	p := &pictureLoop{mixer: m, before: before, ended: make(chan struct{}), version: ^uint64(0), begun: map[*leg.Stream]time.Time{},
		phase: phase{epoch: time.Now()}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

func (p *pictureLoop) start() { go p.run() }

func (p *pictureLoop) run() {
	defer close(p.ended)
	if p.before != nil { // the canvas is one goroutine's
		<-p.before
	}
	defer p.clear()
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := time.Now()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-timer.C:
		}
		now := time.Now()
		interval := idleInterval
		if p.once(now) {
			interval = pictureInterval + p.phase.turn(next)
		}
		// The clock does not drift, and after a stall does not hurry to catch up.
		if next = next.Add(interval); next.Before(now) {
			next = now.Add(interval)
		}
		timer.Reset(time.Until(next))
	}
}

// once makes one picture if anybody watches, and reports whether anybody does.
func (p *pictureLoop) once(now time.Time) bool {
	changed := p.refresh()
	p.giveUp(p.mixer.cfg.Overload.Level())
	for _, x := range p.members {
		x.seen.adaptTo(now)
	}
	if !p.watched() {
		if changed || !p.hidden {
			p.hide()
		}
		return false
	}
	p.hidden = false
	if p.odd = p.level >= overload.Pictures && !p.odd; p.odd {
		p.mixer.ladder.Skip(now)
		return true
	}
	began := time.Now()
	picture, moved := p.mixer.canvas.Compose(now)
	p.mixer.cost.compose.Add(int64(time.Since(began)))
	p.composed = true
	p.follow(now)
	p.publish()
	if p.mixer.ladder.Encode(picture, moved, now, p.viewers) {
		p.appeared()
	}
	return true
}

// follow notes when the pictures that are shown now could have been first.
func (p *pictureLoop) follow(now time.Time) {
	for _, ref := range p.ids {
		if ref.stream == nil || ref.label != "main" { // a screen's pictures come when something moves
			continue
		}
		if ready := ref.stream.PictureReady(); ready.After(p.looked) && !ready.After(now) {
			p.phase.ready(ready)
		}
	}
	p.looked = now
}

// giveUp does with less, or with more again, as the host's load has it.
func (p *pictureLoop) giveUp(level overload.Level) {
	best, most := 0, 0
	if level >= overload.Best {
		best = 1
	}
	if level >= overload.Tiles {
		most = overload.FewTiles
	}
	for _, x := range p.members {
		x.seen.setBest(x.port, best)
	}
	if (level >= overload.Tiles) != (p.level >= overload.Tiles) {
		p.mixer.canvas.SetMost(most)
	}
	p.level = level
}

func (p *pictureLoop) watched() bool {
	p.wants = p.wants[:0]
	for _, v := range p.viewers {
		if p.wants = v.Watching(p.wants); len(p.wants) > 0 {
			return true
		}
	}
	return false
}

// refresh tells the canvas of changes among members, their streams and who talks, and
// reports whether there were any.
func (p *pictureLoop) refresh() (changed bool) {
	m := p.mixer
	m.mu.Lock()
	fresh := m.version != p.version
	hide := m.hideIdle
	if fresh {
		p.version = m.version
		p.members = p.members[:0]
		p.viewers = p.viewers[:0]
		for _, x := range m.members {
			p.members = append(p.members, shown{x.id, x.port, x.seen, x.attrs})
			p.viewers = append(p.viewers, x.seen)
		}
		for _, r := range m.recorders {
			p.viewers = append(p.viewers, r)
		}
	}
	m.mu.Unlock()

	var generation uint64
	talkers := len(p.talking) != len(p.members)
	p.talking = slices.Grow(p.talking[:0], len(p.members))[:len(p.members)]
	for i, x := range p.members {
		generation += x.port.Generation()
		t := m.bus.Talking(x.port) && !x.attrs.Silenced
		talkers = talkers || t != p.talking[i]
		p.talking[i] = t
	}
	if !fresh && !talkers && generation == p.generation {
		return false
	}
	p.generation = generation
	if fresh {
		slices.SortStableFunc(p.members, func(a, b shown) int { return cmp.Compare(a.attrs.Order, b.attrs.Order) })
		for i, x := range p.members { // sorted: talkers anew
			p.talking[i] = m.bus.Talking(x.port) && !x.attrs.Silenced
		}
	}
	p.layOut(hide)
	return true
}

// hide stops the decoding of pictures that nobody watches.
func (p *pictureLoop) hide() {
	p.hidden = true
	tiles := make([]Tile, 0, len(p.ids))
	for _, ref := range p.ids {
		if ref.stream != nil {
			ref.seen.setShown(ref.stream, 0, 0)
		}
		tiles = append(tiles, Tile{ID: ref.id, Label: ref.label})
	}
	p.placedV = ^uint64(0) // shown again when somebody watches
	p.fresh = p.fresh[:0]
	p.setTiles(tiles)
}

// layOut lists the tiles: one for each member, and one for each shared screen.
func (p *pictureLoop) layOut(hideIdle bool) {
	p.tiles, p.ids = p.tiles[:0], p.ids[:0]
	for i, x := range p.members {
		p.streams = x.port.Streams(p.streams[:0])
		if x.attrs.Invisible {
			for _, s := range p.streams {
				x.seen.setShown(s, 0, 0)
			}
			continue
		}
		tile := video.Tile{
			ID: tileID(x.id, "main"), Name: x.attrs.Name, Muted: x.attrs.Silenced || x.attrs.SelfMuted,
			Hand: x.attrs.Hand, Talking: p.talking[i],
		}
		ref := tileRef{id: x.id, label: "main", seen: x.seen}
		var screens []*leg.Stream
		for _, s := range p.streams {
			switch {
			case s.Kind() != leg.Video:
			case !s.Receiving():
			case s.Label() == "screen":
				if x.attrs.HideScreen {
					x.seen.setShown(s, 0, 0)
				} else {
					screens = append(screens, s)
				}
			case ref.stream == nil && !x.attrs.HideVideo:
				ref.stream = s
				tile.Source, tile.Rotate = s, s.Rotation()
			default:
				x.seen.setShown(s, 0, 0)
			}
		}
		if ref.stream != nil || !hideIdle {
			p.tiles = append(p.tiles, tile)
			p.ids = append(p.ids, ref)
		}
		for _, s := range screens {
			p.tiles = append(p.tiles, video.Tile{
				ID: tileID(x.id, s.Label()), Source: s, Name: x.attrs.Name, Screen: true, Rotate: s.Rotation(),
			})
			p.ids = append(p.ids, tileRef{x.id, s.Label(), s, x.seen})
		}
	}
	p.mixer.canvas.SetTiles(slices.Clone(p.tiles))
	p.placedV = ^uint64(0)
}

// publish makes the canvas's geometry known: to the room, and to the senders.
func (p *pictureLoop) publish() {
	placed, version := p.mixer.canvas.Geometry()
	if version == p.placedV {
		return
	}
	p.placedV = version
	tiles := make([]Tile, 0, len(placed))
	for _, t := range placed {
		id, label, _ := strings.Cut(t.ID, tileSeparator)
		tiles = append(tiles, Tile{ID: id, Label: label, Rect: t.Rect, Active: t.Active, Video: t.Video})
	}
	begun := make(map[*leg.Stream]time.Time, len(p.ids))
	for i, ref := range p.ids {
		if ref.stream == nil {
			continue
		}
		var at video.Placed
		for _, t := range placed {
			if t.ID == p.tiles[i].ID {
				at = t
			}
		}
		size := at.Rect.Size()
		ref.seen.setShown(ref.stream, size.X, size.Y)
		begun[ref.stream] = p.begun[ref.stream]
		if since := ref.stream.PictureSince(); at.Video && !since.IsZero() && since != p.begun[ref.stream] {
			begun[ref.stream] = since
			p.fresh = append(p.fresh, since)
		}
	}
	p.begun = begun
	p.setTiles(tiles)
}

// appeared measures how long the tiles have taken that an encoded picture shows for the first time.
func (p *pictureLoop) appeared() {
	for _, since := range p.fresh {
		p.mixer.cfg.Metrics.tileDelay.Observe(time.Since(since).Seconds())
	}
	p.fresh = p.fresh[:0]
}

// setTiles tells the room where the tiles are, unless the last has left meanwhile.
func (p *pictureLoop) setTiles(tiles []Tile) {
	p.mixer.mu.Lock()
	defer p.mixer.mu.Unlock()
	if p.mixer.loop == p {
		p.mixer.tiles = tiles
		p.mixer.tilesV++
	}
}

// clear lets go of the pictures of those who were there.
func (p *pictureLoop) clear() {
	if p.composed {
		p.mixer.canvas.SetTiles(nil)
		p.mixer.canvas.Compose(time.Now())
	}
}

const tileSeparator = "/"

func tileID(id, label string) string { return id + tileSeparator + label }
