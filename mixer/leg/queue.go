package leg

import "sync"

// queue is a bounded first-in first-out queue that drops its oldest entry when
// full. One goroutine pops, any may push; wake is signalled when there is something.
type queue[T any] struct {
	mu   sync.Mutex // guards ring, head, n
	ring []T
	head int
	n    int
	wake chan<- struct{} // capacity 1, shared by the queues of one sender
}

func newQueue[T any](size int, wake chan<- struct{}) *queue[T] {
	return &queue[T]{ring: make([]T, size), wake: wake}
}

// push adds v and reports whether an older entry had to go for it.
func (q *queue[T]) push(v T) (dropped bool) {
	q.mu.Lock()
	if q.n == len(q.ring) {
		q.head = (q.head + 1) % len(q.ring)
		q.n--
		dropped = true
	}
	q.ring[(q.head+q.n)%len(q.ring)] = v
	q.n++
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return dropped
}

// pop takes the oldest entry.
func (q *queue[T]) pop() (v T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == 0 {
		return v, false
	}
	var none T
	v, q.ring[q.head] = q.ring[q.head], none
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	return v, true
}

// clear drops everything and returns how much that was.
func (q *queue[T]) clear() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.n
	clear(q.ring)
	q.head, q.n = 0, 0
	return n
}
