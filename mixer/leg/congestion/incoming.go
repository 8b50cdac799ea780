package congestion

import (
	"log/slog"
	"math"
	"sync"
	"time"
)

const (
	// What a sender is asked for while their queue runs dry: next to no pictures. It is less than their sound takes, which browsers
	// leave as it is.
	braking      = 30_000 // bit/s
	longestBrake = 1500 * time.Millisecond
	// A queue that has gone so soon after they were asked was none that they fill: what they sent until then is still on its way.
	soonDry = 150 * time.Millisecond
	// What they are asked for afterwards grows so fast, half as fast each time that it was too much again, and is no bound any more
	// at so many times what the path carried.
	easing      = 0.3 // per second
	leastEasing = 0.04
	unbounded   = 4
	silent      = time.Second // without sound nobody tells of a queue
	jumped      = time.Second // in the delay of sound: another clock
	// Within this they obey, and by less than this part of what the path carried is it seen that they do.
	obeyed   = 300 * time.Millisecond
	lessThan = 0.7
)

// Incoming finds out when the path from a sender is too narrow for what they send: how late their sound comes tells how long the queue
// on it is. A browser's own congestion control finds that out too, but lets the queue it has made stand for seconds, or run over, and
// sends what was lost again on top. So the sender is asked for next to no pictures as soon as the queue grows, until it has run dry, and then
// for what the path carried, and more little by little.
//
// Times are distances from one moment. Its methods may be called from any goroutine.
type Incoming struct {
	log *slog.Logger

	mu    sync.Mutex // guards all below
	queue queue
	got   arrivals
	busy  time.Duration // since when the queue has not been empty; never: it is

	limit   float64       // bit/s that the sender is asked for at most; 0: no bound
	carried float64       // what the path carried when it was too narrow
	easing  float64       // by how much of itself limit grows in a second
	since   time.Duration // when they were asked for next to nothing; never: they are not
	length  time.Duration // of the queue then
	eased   time.Duration // when limit was last raised
	heard   time.Duration // when the newest sound came
}

// NewIncoming knows nothing of the path. log is told what is found out, at the level of debugging.
func NewIncoming(log *slog.Logger) *Incoming {
	return &Incoming{log: log, busy: never, since: never}
}

// Arrived notes an RTP packet of whatever medium, and its size in bytes.
func (i *Incoming) Arrived(size int, at time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.got.add(at, size+Overhead)
}

// Sound notes a packet of sound that came in order, and its delay: when it came less when it was made, by the sender's clock. It reports whether
// Limit has fallen: the sender is to be told at once.
func (i *Incoming) Sound(delay, at time.Duration) (fell bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if last := i.queue.last[2]; i.queue.windows > 0 && max(delay-last, last-delay) > jumped {
		i.queue, i.busy, i.since, i.limit = queue{}, never, never, 0
	}
	i.queue.add(delay, at)
	switch {
	case delay-i.queue.floor() < lowest:
		i.busy = never
	case i.busy == never:
		i.busy = at
	}
	i.heard = at
	if i.since != never {
		i.brake(at)
		return false
	}
	// What stands may be a longer way. Where the path was too narrow just now it is a queue.
	if i.queue.grows() || i.limit > 0 && i.queue.stands(at) {
		if carried := i.rate(at); carried > 0 {
			i.narrow(carried, at)
			return true
		}
	}
	i.ease(at)
	return false
}

func (i *Incoming) narrow(carried float64, at time.Duration) {
	if i.limit > 0 {
		i.easing = max(leastEasing, i.easing/2)
	} else {
		i.easing = easing
	}
	i.carried, i.length, i.since, i.limit = carried, i.queue.length(), at, braking
	i.queue.quiet()
	i.queue.standing = never
	i.tell("the way from them is too narrow")
}

// brake looks whether the queue has run dry.
func (i *Incoming) brake(at time.Duration) {
	i.queue.quiet() // it is no noise of the path's
	asked, length := at-i.since, i.queue.length()
	dry := length < lowest
	switch {
	case dry && asked < soonDry:
		i.limit = 0
	case dry, asked >= longestBrake: // they cannot send less
		i.limit = margin * i.carried
	case asked >= obeyed && length > i.length/2 && i.lately(at) < lessThan*i.carried:
		// They send less, and it comes as late as before: that is the way now.
		i.queue.rebase(at)
		i.busy, i.limit = never, 0
	default:
		// The longer it is looked at, the better is it known, until they send less.
		if rate := i.rate(at); rate > 0 && asked < soonDry {
			i.carried = rate
		}
		return
	}
	i.since = never
	i.tell("the way from them is free again")
}

// ease raises the limit while there is no queue, or nobody who tells.
func (i *Incoming) ease(at time.Duration) {
	elapsed := at - i.eased
	i.eased = at
	if i.limit == 0 || i.since != never || i.queue.length() > i.queue.threshold()/2 && at-i.heard < silent {
		return
	}
	i.limit *= math.Pow(1+i.easing, min(max(0, elapsed), time.Second).Seconds())
	if i.limit > unbounded*i.carried {
		i.limit = 0
	}
}

// Limit is what the sender is to be asked for at most, in bit/s of all they send; 0 for any.
func (i *Incoming) Limit(at time.Duration) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.since != never && at-i.since >= longestBrake { // they have fallen silent
		i.brake(at)
	}
	i.ease(at)
	return int(i.limit)
}

// Braking reports whether their queue is being let run dry: nothing is to be asked for that is not needed at once.
func (i *Incoming) Braking(at time.Duration) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.since != never && at-i.since < longestBrake
}

// rate is what has come since the queue was last empty, in bit/s; 0 if that is too little to say.
func (i *Incoming) rate(at time.Duration) float64 {
	from := at - rateWindow
	if i.busy != never {
		from = max(from, i.busy)
	}
	rate, span := i.got.since(from)
	if span < windowTime {
		return i.lately(at)
	}
	return rate
}

// lately is what has come in the last moments, in bit/s.
func (i *Incoming) lately(at time.Duration) float64 {
	rate, _ := i.got.since(at - 100*time.Millisecond)
	return rate
}

func (i *Incoming) tell(what string) {
	i.log.Debug("network: "+what, "limit_bps", int(i.limit), "arrives_bps", int(i.carried), "queue", i.queue.length().Round(time.Millisecond))
}
