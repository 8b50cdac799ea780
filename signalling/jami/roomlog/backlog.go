package roomlog

import "sync"

// backlog is a queue of which the oldest go when too much waits. Unlike a channel it takes no memory while it is empty, as that of
// nearly every room is nearly always.
type backlog struct {
	most int
	more chan struct{} // cap 1: there is something, or was

	mu    sync.Mutex // guards items
	items []any
}

func newBacklog(most int) *backlog { return &backlog{most: most, more: make(chan struct{}, 1)} }

// put adds v; of more than fit the oldest goes, and is returned.
func (b *backlog) put(v any) (old any) {
	b.mu.Lock()
	if len(b.items) >= b.most {
		old = b.items[0]
		b.items = b.items[1:]
	}
	b.items = append(b.items, v)
	b.mu.Unlock()
	b.wake()
	return old
}

// add is put without a bound, for what is waited for by who adds it.
func (b *backlog) add(v any) {
	b.mu.Lock()
	b.items = append(b.items, v)
	b.mu.Unlock()
	b.wake()
}

// take returns the oldest. When more is left, more says so again.
func (b *backlog) take() (v any, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.items) == 0 {
		return nil, false
	}
	v = b.items[0]
	b.items[0] = nil
	if b.items = b.items[1:]; len(b.items) == 0 {
		b.items = nil
	} else {
		b.wake()
	}
	return v, true
}

func (b *backlog) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items) == 0
}

func (b *backlog) wake() {
	select {
	case b.more <- struct{}{}:
	default:
	}
}
