package audio

// maxClips is how many announcements may wait.
const maxClips = 32

// clip is an announcement being played.
type clip struct {
	pcm  []int16
	done chan struct{}
}

// Play queues 48 kHz mono sound for everybody, after what is queued already, and
// returns a channel that is closed when it has been played or dropped. pcm must not
// be written meanwhile. Where nobody is in, or too much is queued, it is dropped at once.
func (b *Bus) Play(pcm []int16) <-chan struct{} {
	c := &clip{pcm: pcm, done: make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.slots) == 0 || len(b.clips) >= maxClips || len(pcm) == 0 {
		b.cfg.Metrics.playDropped.Inc()
		close(c.done)
		return c.done
	}
	b.clips = append(b.clips, c)
	return c.done
}

// nextClipFrame fills f with the announcements' next 20 ms and reports whether there are any.
func (b *Bus) nextClipFrame(f *Frame) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for n < len(f) && len(b.clips) > 0 {
		c := b.clips[0]
		k := copy(f[n:], c.pcm)
		c.pcm = c.pcm[k:]
		n += k
		if len(c.pcm) == 0 {
			close(c.done)
			b.clips[0] = nil
			b.clips = b.clips[1:]
		}
	}
	if n == 0 {
		return false
	}
	clear(f[n:])
	return true
}

func (b *Bus) dropClips() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.clips {
		b.cfg.Metrics.playDropped.Inc()
		close(c.done)
	}
	b.clips = nil
}
