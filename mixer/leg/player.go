package leg

import (
	"sync"
	"sync/atomic"

	"rendezvous/mixer/audio"
)

const maxPrompts = 64 // queued at once for one caller; further ones are dropped

// player holds the sound that only one caller is to hear.
type player struct {
	playing atomic.Bool // lets the bus skip the lock when there is nothing
	mu      sync.Mutex  // guards queue and closed
	queue   []prompt
	closed  bool // nobody will read any more
}

type prompt struct {
	rest []int16
	done chan struct{}
}

func (p *player) play(pcm []int16) <-chan struct{} {
	done := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(pcm) == 0 || len(p.queue) >= maxPrompts || p.closed {
		close(done)
		return done
	}
	p.queue = append(p.queue, prompt{pcm, done})
	p.playing.Store(true)
	return done
}

func (p *player) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.stop()
}

func (p *player) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range p.queue {
		close(q.done)
	}
	p.queue = nil
	p.playing.Store(false)
}

// read fills f with the next 20 ms and reports whether there are any.
func (p *player) read(f *audio.Frame) bool {
	if !p.playing.Load() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(f) && len(p.queue) > 0 {
		q := &p.queue[0]
		k := copy(f[n:], q.rest)
		n += k
		if q.rest = q.rest[k:]; len(q.rest) == 0 {
			close(q.done)
			p.queue = p.queue[1:]
		}
	}
	if len(p.queue) == 0 {
		p.queue = nil
		p.playing.Store(false)
	}
	clear(f[n:])
	return n > 0
}
