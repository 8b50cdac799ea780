package recordings

import (
	"sync"
	"time"

	"rendezvous/mixer/ladder"
)

// queueLength is how many packets wait for a slow disk: some seconds of sound and picture.
const queueLength = 512

// item is one packet on its way to the file.
type item struct {
	at   time.Duration // when it came, in recording time
	unit *ladder.Unit  // a picture, or
	data []byte        // encoded sound, of
	tap  *Track        // one participant, or nil: of all

	silent bool // of tap
}

// queue holds the newest packets for the writer. The mixer never waits for it.
type queue struct {
	wake chan struct{} // holds one token when there is something

	mu      sync.Mutex // guards what follows
	ring    [queueLength]item
	first   int
	n       int
	dropped uint64
	cut     bool // a picture was dropped: the ones that refer to it are worth nothing
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) put(i item) {
	q.mu.Lock()
	if q.n == queueLength {
		q.cut = q.cut || q.ring[q.first].unit != nil
		q.ring[q.first] = item{}
		q.first = (q.first + 1) % queueLength
		q.n--
		q.dropped++
	}
	q.ring[(q.first+q.n)%queueLength] = i
	q.n++
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take moves everything to dst and reports whether a picture was lost before it.
func (q *queue) take(dst []item) (items []item, cut bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for ; q.n > 0; q.n-- {
		dst = append(dst, q.ring[q.first])
		q.ring[q.first] = item{}
		q.first = (q.first + 1) % queueLength
	}
	cut, q.cut = q.cut, false
	return dst, cut
}

func (q *queue) drops() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
