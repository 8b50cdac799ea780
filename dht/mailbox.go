package dht

import (
	"context"
	"sync"
)

// mailbox hands items from the engine to the goroutine of one operation. Sending never blocks: when max items or
// maxMailboxBytes wait, the oldest is dropped and counted.
type mailbox[T sized] struct {
	max     int
	dropped *counter
	ready   chan struct{} // holds one token when there may be something to take

	mu    sync.Mutex // guards the rest
	items []T
	bytes int
	ended bool
	err   error
}

// sized is something that takes so many bytes of memory.
type sized interface{ bytes() int }

// maxMailboxBytes bounds what waits for one slow reader.
const maxMailboxBytes = 16 << 20

func newMailbox[T sized](max int, dropped *counter) *mailbox[T] {
	return &mailbox[T]{max: max, dropped: dropped, ready: make(chan struct{}, 1)}
}

// send adds an item.
func (b *mailbox[T]) send(item T) {
	b.mu.Lock()
	if !b.ended {
		b.items = append(b.items, item)
		b.bytes += item.bytes()
		for len(b.items) > b.max || len(b.items) > 1 && b.bytes > maxMailboxBytes {
			b.pop()
			b.dropped.Add(1)
		}
	}
	b.mu.Unlock()
	b.wake()
}

// end says that nothing more comes, and why: nil for the ordinary end. Only the first call counts.
func (b *mailbox[T]) end(err error) {
	b.mu.Lock()
	if !b.ended {
		b.ended, b.err = true, err
	}
	b.mu.Unlock()
	b.wake()
}

func (b *mailbox[T]) wake() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// take returns the next item without waiting; ended is true when there is none and none will come.
func (b *mailbox[T]) take() (item T, ok, ended bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.items) > 0 {
		return b.pop(), true, false, nil
	}
	return item, false, b.ended, b.err
}

// pop takes the oldest item out; the lock is held.
func (b *mailbox[T]) pop() T {
	var none T
	item := b.items[0]
	b.items[0] = none
	b.items = b.items[1:]
	b.bytes -= item.bytes()
	return item
}

// next waits for the next item. ok is false at the end, with its reason, or the context's.
func (b *mailbox[T]) next(ctx context.Context) (item T, ok bool, err error) {
	for {
		item, ok, ended, err := b.take()
		if ok || ended {
			return item, ok, err
		}
		select {
		case <-b.ready:
		case <-ctx.Done():
			return item, false, ctx.Err()
		}
	}
}
