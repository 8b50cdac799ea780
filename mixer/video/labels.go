package video

import (
	"cmp"
	"slices"
	"sync"

	"rendezvous/mixer/av"
)

// maxDrawings bounds the cache: names and avatars of a full canvas in a few sizes.
const maxDrawings = 512

// labels draws names, avatars and marks beside the picture clock, each once, and keeps them.
// A goroutine runs while there is something to draw.
type labels struct {
	fonts *fonts

	mu       sync.Mutex // guards all below
	drawn    map[drawing]*drawn
	queue    []drawing
	uses     uint64
	finished uint64 // drawings made
	working  bool
	closed   bool
	done     sync.WaitGroup
}

type drawn struct {
	overlay *av.Overlay // nil while it waits to be drawn
	used    uint64
}

func newLabels(f *fonts) *labels {
	return &labels{fonts: f, drawn: map[drawing]*drawn{}}
}

// get returns the drawing, or nil when it is not made yet; version then grows when it is.
func (l *labels) get(d drawing) *av.Overlay {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.uses++
	if e := l.drawn[d]; e != nil {
		e.used = l.uses
		return e.overlay
	}
	if l.closed {
		return nil
	}
	if len(l.drawn) >= maxDrawings {
		l.forget()
	}
	l.drawn[d] = &drawn{used: l.uses}
	l.queue = append(l.queue, d)
	if !l.working {
		l.working = true
		l.done.Add(1)
		go l.work()
	}
	return nil
}

// forget drops the half that has not been used for longest; l.mu is held.
func (l *labels) forget() {
	type entry struct {
		d    drawing
		used uint64
	}
	var old []entry
	for d, e := range l.drawn {
		if e.overlay != nil {
			old = append(old, entry{d, e.used})
		}
	}
	slices.SortFunc(old, func(a, b entry) int { return cmp.Compare(a.used, b.used) })
	for _, e := range old[:len(old)/2] {
		delete(l.drawn, e.d)
	}
}

// version grows whenever a drawing is finished.
func (l *labels) version() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.finished
}

func (l *labels) work() {
	defer l.done.Done()
	for {
		l.mu.Lock()
		if len(l.queue) == 0 || l.closed {
			l.queue, l.working = nil, false
			l.mu.Unlock()
			return
		}
		d := l.queue[0]
		l.queue = l.queue[1:]
		l.mu.Unlock()

		overlay := av.NewOverlay(l.fonts.drawSafely(d))

		l.mu.Lock()
		if e := l.drawn[d]; e != nil {
			e.overlay = overlay
		}
		l.finished++
		l.mu.Unlock()
	}
}

func (l *labels) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.done.Wait()
}
