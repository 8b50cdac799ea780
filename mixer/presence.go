package mixer

import (
	"sync"
	"time"

	"rendezvous/mixer/ladder"
	"rendezvous/mixer/leg"
)

// presence is a viewer as the picture clock sees them. Once they have left they are not called any
// more, although the picture that is being made then may still be made with them: so nobody
// has to wait for that.
type presence struct {
	mu     sync.Mutex // guards all below, and is held while they are called
	viewer ladder.Viewer
	adapt  func(now time.Time) // of the viewer; nil of one whose network is none, a recorder
	gone   bool
}

// Watching asks the viewer, while they are there (ladder.Viewer).
func (p *presence) Watching(dst []ladder.Want) []ladder.Want {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return dst
	}
	return p.viewer.Watching(dst)
}

// adaptTo has the viewer adapt to their network, while they are there.
func (p *presence) adaptTo(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone && p.adapt != nil {
		p.adapt(now)
	}
}

// setBest tells a member which rung they are sent at best, while they are there.
func (p *presence) setBest(port *leg.Port, rung int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		port.SetBest(rung)
	}
}

// WriteUnit hands it on, while they are there (ladder.Viewer).
func (p *presence) WriteUnit(u *ladder.Unit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		p.viewer.WriteUnit(u)
	}
}

// setShown tells one of the viewer's streams how large its tile is, while they are there: afterwards it may be
// in another room, with a tile of another size.
func (p *presence) setShown(s *leg.Stream, width, height int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		s.SetShown(width, height)
	}
}

// leave returns when they are not called, and will not be.
func (p *presence) leave() {
	p.mu.Lock()
	p.gone = true
	p.mu.Unlock()
}
