// Package netlink is one direction of a network path as a model: a queue in front of a link of some bandwidth, then
// delay, jitter, loss, bursts of loss, reordering, or nothing at all for a while. It has no clock, no goroutine and no
// socket: whoever uses it says what time it is, so that minutes of a network take a test milliseconds, and the same seed
// makes the same network.
//
//	l := netlink.New[[]byte](netlink.Settings{Rate: 500_000, Queue: 2 * time.Second, Delay: 10 * time.Millisecond}, 1)
//	l.Send(now, len(packet), packet)
//	for at, ok := l.Next(); ok; at, ok = l.Next() {
//		for _, a := range l.Deliver(at) { … }
//	}
package netlink

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Settings say what a path is like. The zero Settings are a perfect one. Packets meet them in the order of the fields: what
// is lost does not queue, what queues is delayed afterwards.
type Settings struct {
	Blackout bool // nothing that is sent arrives; what was under way does

	// A burst of loss begins when this is set, and then every BurstEvery: all that is sent within BurstLen is lost.
	BurstEvery, BurstLen time.Duration

	Loss float64 // share of packets that are lost, each by itself: 0 to 1

	Rate int // bit/s; 0: no limit, and no queue

	// Queue is the drop-tail limit in time at the present Rate, QueueBytes in bytes if it is not 0. Both 0: DefaultQueue.
	// Two packets always have room.
	Queue      time.Duration
	QueueBytes int

	Delay  time.Duration
	Jitter time.Duration // each packet takes up to so much longer, evenly distributed
	Free   bool          // jitter lets packets overtake each other; else they keep their order, as in a queue elsewhere

	Reorder   float64 // share of packets, 0 to 1, that come ReorderBy later than the others
	ReorderBy time.Duration
}

// DefaultQueue is the limit of the queue if none is set.
const DefaultQueue = 500 * time.Millisecond

// minQueue is how many packets always have room, however short the queue.
const minQueue = 2

// Fate is what becomes of a packet.
type Fate uint8

// The fates. What is Kept arrives.
const (
	Kept      Fate = iota
	QueueFull      // no room in the queue
	Lost           // by Loss
	InBurst        // by a burst
	InBlackout
	fates
)

// String is one word.
func (f Fate) String() string {
	return [...]string{"kept", "queue-full", "lost", "burst", "blackout"}[f]
}

// Counts are how many packets had which fate, by Fate.
type Counts [fates]int

// Arrival is a packet at the other end.
type Arrival[T any] struct {
	Data     T
	Size     int           // bytes
	Sent, At time.Time     // when it was sent, when it came
	Queued   time.Duration // from when it was sent until the link had sent its last bit
}

// Link is one direction of a path. It is for one goroutine at a time.
type Link[T any] struct {
	settings Settings
	rng      *rand.Rand
	counts   Counts

	now     time.Time   // the latest that was told
	queue   []packet[T] // the first is being sent
	bytes   int         // in queue
	sentAt  time.Time   // when the last bit of queue[0] is sent
	burst   time.Time   // when the first burst began
	inOrder time.Time   // no packet that keeps the order arrives earlier
	n       uint64
	flying  []packet[T] // sent and not arrived yet, in the order of their arrival
}

// packet is one under way.
type packet[T any] struct {
	Arrival[T]
	late   time.Duration // longer than others
	jitter float64       // 0 to 1
	after  bool          // is reordered
	n      uint64        // the order of sending, among those that arrive together
}

// New makes a link. Two with the same seed do the same to the same packets.
func New[T any](s Settings, seed uint64) *Link[T] {
	return &Link[T]{settings: s, rng: rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15))}
}

// Settings are the present ones.
func (l *Link[T]) Settings() Settings { return l.settings }

// Counts are the fates of all packets that were sent so far.
func (l *Link[T]) Counts() Counts { return l.counts }

// Backlog is how many bytes wait in the queue now, the packet that is being sent included.
func (l *Link[T]) Backlog(now time.Time) int {
	l.advance(now)
	return l.bytes
}

// Set changes the settings at a time, which like that of Send and Deliver is no earlier than any told before. What is in the queue
// stays there, also if it is more than its limit now, and leaves at the new rate; what has left it arrives as it would have.
func (l *Link[T]) Set(now time.Time, s Settings) {
	l.advance(now)
	old := l.settings
	l.settings = s
	if s.BurstEvery != old.BurstEvery || s.BurstLen != old.BurstLen {
		l.burst = l.now
	}
	if len(l.queue) > 0 && s.Rate != old.Rate {
		rest := time.Duration(0)
		if s.Rate > 0 {
			rest = time.Duration(float64(l.sentAt.Sub(l.now)) * float64(old.Rate) / float64(s.Rate))
		}
		l.sentAt = l.now.Add(rest)
		l.advance(now)
	}
}

// Send sends a packet of so many bytes, and returns what becomes of it.
func (l *Link[T]) Send(now time.Time, size int, data T) Fate { return l.SendLate(now, size, data, 0) }

// SendLate is Send for a packet that takes longer than others by so much, as sound and picture do on different
// ways. It may be overtaken by others.
func (l *Link[T]) SendLate(now time.Time, size int, data T, late time.Duration) Fate {
	l.advance(now)
	if l.burst.IsZero() {
		l.burst = l.now
	}
	s := &l.settings
	// As many numbers are drawn for each packet whatever the settings, so that runs are alike.
	lost, jitter, after := l.rng.Float64(), l.rng.Float64(), l.rng.Float64()
	fate := Kept
	switch {
	case s.Blackout:
		fate = InBlackout
	case s.BurstEvery > 0 && l.now.Sub(l.burst)%s.BurstEvery < s.BurstLen:
		fate = InBurst
	case lost < s.Loss:
		fate = Lost
	case s.Rate > 0 && len(l.queue) >= minQueue && l.bytes+size > s.limit():
		fate = QueueFull
	}
	l.counts[fate]++
	if fate != Kept {
		return fate
	}
	l.n++
	p := packet[T]{Arrival[T]{Data: data, Size: size, Sent: l.now}, late, jitter, after < s.Reorder, l.n}
	if l.queue = append(l.queue, p); len(l.queue) == 1 {
		l.sentAt = l.now.Add(s.transmission(size))
	}
	l.bytes += size
	l.advance(now)
	return Kept
}

// limit is that of the queue in bytes.
func (s *Settings) limit() int {
	if s.QueueBytes > 0 {
		return s.QueueBytes
	}
	q := s.Queue
	if q == 0 {
		q = DefaultQueue
	}
	return int(float64(s.Rate) / 8 * q.Seconds())
}

// transmission is how long a packet of so many bytes takes.
func (s *Settings) transmission(size int) time.Duration {
	if s.Rate == 0 {
		return 0
	}
	return time.Duration(int64(size) * 8 * int64(time.Second) / int64(s.Rate))
}

// advance lets the link send until now.
func (l *Link[T]) advance(now time.Time) {
	if now.After(l.now) {
		l.now = now
	}
	for len(l.queue) > 0 && !l.sentAt.After(l.now) {
		p := l.queue[0]
		l.queue = slices.Delete(l.queue, 0, 1)
		l.bytes -= p.Size
		l.launch(p)
		if len(l.queue) > 0 { // whatever came in the meantime waited for this one
			l.sentAt = l.sentAt.Add(l.settings.transmission(l.queue[0].Size))
		}
	}
}

// launch sends a packet, whose last bit has left at sentAt, through delay and jitter.
func (l *Link[T]) launch(p packet[T]) {
	s := &l.settings
	p.Queued = l.sentAt.Sub(p.Sent)
	p.At = l.sentAt.Add(s.Delay + p.late + time.Duration(p.jitter*float64(s.Jitter)))
	switch {
	case p.after:
		p.At = p.At.Add(s.ReorderBy)
	case p.late == 0 && !s.Free:
		if p.At.Before(l.inOrder) {
			p.At = l.inOrder
		}
		l.inOrder = p.At
	}
	i, _ := slices.BinarySearchFunc(l.flying, p, func(a, b packet[T]) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return int(int64(a.n) - int64(b.n))
	})
	l.flying = slices.Insert(l.flying, i, p)
}

// Next is when Deliver has something to do next; false if nothing is under way. It may turn out that no packet arrives
// then, but that one has left the queue.
func (l *Link[T]) Next() (time.Time, bool) {
	switch {
	case len(l.queue) == 0 && len(l.flying) == 0:
		return time.Time{}, false
	case len(l.queue) == 0 || len(l.flying) > 0 && l.flying[0].At.Before(l.sentAt):
		return l.flying[0].At, true
	}
	return l.sentAt, true
}

// Deliver returns what has arrived until now and was not returned before, in the order of arrival.
func (l *Link[T]) Deliver(now time.Time) []Arrival[T] {
	l.advance(now)
	n := 0
	for n < len(l.flying) && !l.flying[n].At.After(l.now) {
		n++
	}
	if n == 0 {
		return nil
	}
	out := make([]Arrival[T], n)
	for i := range out {
		out[i] = l.flying[i].Arrival
	}
	l.flying = slices.Delete(l.flying, 0, n)
	return out
}
