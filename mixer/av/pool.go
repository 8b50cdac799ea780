package av

import (
	"image"
	"sync"
)

// Pool keeps pictures of one size for reuse, so that a steady flow of them allocates
// nothing. It may be used from several goroutines; memory follows the most that were held at once.
type Pool struct {
	width, height int

	mu   sync.Mutex // guards free
	free []*Picture
}

// NewPool returns an empty pool for pictures of width x height.
func NewPool(width, height int) *Pool { return &Pool{width: width, height: height} }

// Size is that of the pool's pictures.
func (pl *Pool) Size() image.Point { return image.Pt(pl.width, pl.height) }

// Get returns a picture with one holder and undefined content. The last Release puts it back.
func (pl *Pool) Get() *Picture {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	if n := len(pl.free); n > 0 {
		p := pl.free[n-1]
		pl.free = pl.free[:n-1]
		p.refs.Store(1)
		return p
	}
	p := NewPicture(pl.width, pl.height)
	p.release = pl.put
	return p
}

func (pl *Pool) put(p *Picture) {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	pl.free = append(pl.free, p)
}
