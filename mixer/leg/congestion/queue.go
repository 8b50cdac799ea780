package congestion

import (
	"math"
	"time"
)

const (
	// What arrives is looked at in windows of at least this much time and this many packets, or of one where they come seldom. The
	// least delay in a window is what queues: a receiver that was late for one packet is not late for all.
	windowTime    = 40 * time.Millisecond
	windowPackets = 2
	seldom        = 60 * time.Millisecond
	// The way's own delay is the least of about this long. A clock that is off by 200 ppm moves by 2 ms in it.
	baseTime = 10 * time.Second

	leastThreshold = 40 * time.Millisecond // queue that is none of the path's own jitter
	mostNoise      = 110 * time.Millisecond
	// A queue that grows does so in each window, by this much at least and by this part of all that it has grown.
	leastGrowth = 4 * time.Millisecond
	growthShare = 0.15
	// How long a queue stands before it is tried to be drained.
	standingTime = 400 * time.Millisecond
)

const never = time.Duration(math.MaxInt64)

// queue is how long packets wait on the path: their delay above the least of late. Times are the receiver's.
type queue struct {
	base, baseBefore time.Duration // the least delay of this half of baseTime, and of the one before
	baseSince        time.Duration
	any              bool

	least   time.Duration // of the window that is open
	opened  time.Duration
	packets int

	last     [3]time.Duration // of the windows before, the newest last, as absolute delays
	windows  int
	standing time.Duration // since when the queue is over its threshold, never: it is not

	noise     time.Duration // what windows differ by where nothing is congested
	worst     time.Duration // of this second
	worstFrom time.Duration
}

// add takes the delay of a packet (arrival less departure, by two clocks).
func (q *queue) add(delay, arrival time.Duration) {
	if !q.any {
		q.any = true
		q.base, q.baseBefore, q.baseSince = delay, delay, arrival
		q.least, q.opened, q.standing, q.worstFrom = never, arrival, never, arrival
	}
	if arrival-q.baseSince > baseTime/2 || arrival < q.baseSince {
		q.baseBefore, q.base, q.baseSince = q.base, delay, arrival
	}
	q.base = min(q.base, delay)
	q.least = min(q.least, delay)
	q.packets++
	open := arrival - q.opened
	if open >= windowTime && q.packets >= windowPackets || open >= seldom || open < 0 {
		q.close(arrival)
	}
}

func (q *queue) close(arrival time.Duration) {
	q.last[0], q.last[1], q.last[2] = q.last[1], q.last[2], q.least
	q.windows++
	q.least, q.opened, q.packets = never, arrival, 0
	length := q.last[2] - q.floor()
	switch {
	case length <= q.threshold():
		q.standing = never
	case q.standing == never:
		q.standing = arrival
	}
	q.worst = max(q.worst, length)
	if arrival-q.worstFrom >= time.Second || arrival < q.worstFrom {
		q.noise += (min(q.worst, mostNoise) - q.noise) / 4
		q.worst, q.worstFrom = 0, arrival
	}
}

// floor is the way's own delay.
func (q *queue) floor() time.Duration { return min(q.base, q.baseBefore) }

// length is how long what arrived last has waited.
func (q *queue) length() time.Duration {
	switch {
	case !q.any || q.windows == 0 && q.least == never:
		return 0
	case q.least == never:
		return q.last[2] - q.floor()
	case q.windows == 0 || q.packets >= windowPackets:
		return q.least - q.floor()
	}
	return min(q.least, q.last[2]) - q.floor()
}

// threshold is above what the path shows where nothing is congested.
func (q *queue) threshold() time.Duration { return leastThreshold + q.noise }

// grows tells that the queue is over its threshold and has grown through the last windows.
func (q *queue) grows() bool {
	if q.windows < 3 {
		return false
	}
	all, first, second := q.last[2]-q.last[0], q.last[1]-q.last[0], q.last[2]-q.last[1]
	least := max(leastGrowth, time.Duration(growthShare*float64(all)))
	return q.last[2]-q.floor() > q.threshold() && first >= least && second >= least
}

// stands tells that the queue has been over its threshold for a while.
func (q *queue) stands(arrival time.Duration) bool {
	return q.standing != never && arrival-q.standing >= standingTime
}

// quiet forgets the noise of this second: it was congestion.
func (q *queue) quiet() { q.worst = 0 }

// rebase takes the present delay for the way's own.
func (q *queue) rebase(arrival time.Duration) {
	q.base = q.last[2]
	if q.least != never {
		q.base = min(q.base, q.least)
	}
	q.baseBefore, q.baseSince, q.standing = q.base, arrival, never
	q.quiet()
}
