package congestion

import (
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/pion/rtcp"
)

// Config are the bounds of a controller, in bit/s on the wire, all that is sent to the receiver together.
type Config struct {
	Initial, Min, Max int
	Log               *slog.Logger     // what is found out, at the level of debugging; nil: nothing
	Now               func() time.Time // nil is time.Now
}

const (
	// Overhead is what a packet of RTP has on the wire beside itself: IPv4, UDP, and SRTP's authentication tag.
	Overhead = 20 + 8 + 10

	margin         = 0.9  // of what the path carries is what is sent
	fastGrowth     = 1.10 // per second, while the target is filled
	ceilingLife    = time.Minute
	underCeiling   = 0.95                    // of what it carried is the target raised to without a probe
	neverEmpty     = 1200 * time.Millisecond // for as long has there been a queue, and the target is lowered,
	shrink         = 0.93                    // by this part per second, to
	leastOfCeiling = 0.7
	filled         = 0.7 // of the target that must arrive for it to be raised
	headroom       = 1.5 // of what arrives is the most that it can be raised to without a probe
	rateWindow     = 500 * time.Millisecond
	roundTrips     = 4 * time.Second // the least of about this long is the round trip
	firstTrip      = 100 * time.Millisecond
	stallTime      = 450 * time.Millisecond // and two round trips without a word
	longStall      = 10 * time.Second
	lowest         = 20 * time.Millisecond // queue that counts as none
	longestHold    = 1500 * time.Millisecond
	longestTrial   = 250 * time.Millisecond
	maxTries       = 2
)

// Controller estimates the path to one receiver. Its methods may be called from any goroutine.
type Controller struct {
	cfg Config

	mu      sync.Mutex // guards all below
	start   time.Time
	history history
	queue   queue
	got     arrivals
	probes  probes
	losses  losses

	target  float64 // bit/s
	wanted  float64 // bit/s that could be used
	ceiling float64 // what the path carried when it was last too narrow, 0: not lately
	found   time.Duration
	heard   bool          // any feedback
	updated time.Duration // of the last feedback, our time
	acked   float64       // bit/s that arrived lately

	phase  phase
	since  time.Duration // the phase
	hold   time.Duration // until when pictures are held
	check  time.Duration // when it is to be seen whether that helped
	length time.Duration // of the queue when the phase began
	before float64       // target then
	dry    bool          // the queue has been seen gone since
	tries  int           // to let a queue run dry that is still there
	busy   time.Duration // receiver's time since when the queue has not been empty; never: it is

	trips        lowestTrip
	stalled      bool
	stalledSince time.Duration
}

// phase is what the controller is about.
type phase uint8

const (
	steady  phase = iota
	drain         // the path was too narrow: the target is lowered, and the queue is let run dry
	inquire       // a queue stands: is it one that runs dry if nothing is added?
)

// New returns a controller that knows nothing of its path.
func New(cfg Config) *Controller {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Controller{cfg: cfg, start: cfg.Now(), target: float64(cfg.Initial), busy: never, probes: probes{next: never}}
}

// State is what a sender has to go by.
type State struct {
	Target int       // bit/s for all that is sent, on the wire
	Known  bool      // the receiver has told of something; before, Target is the initial guess
	Pace   int       // bit/s that pictures may leave with
	Hold   time.Time // pictures wait until then; zero: they do not

	Unheard   bool          // something has been sent of which nothing has been heard yet
	Stalled   bool          // and that for a while
	Queue     time.Duration // how long packets wait on the path
	RoundTrip time.Duration // of the path without a queue; 0: not known
	Loss      float64       // of what was sent lately, 0 to 1
	Lossy     float64       // the part of that which is the path's own, whatever is sent
}

// Sent notes that a packet leaves: its transport-wide number, and its size as RTP, in bytes.
func (c *Controller) Sent(seq uint16, size int) {
	now := c.cfg.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history.add(seq, size+Overhead, now.Sub(c.start), c.probes.sending, c.stalled)
	c.probes.sent(size+Overhead, now.Sub(c.start))
}

// Want says what could be used at most, in bit/s on the wire: the target need not be known to be higher.
func (c *Controller) Want(bitrate int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wanted == 0 && bitrate > 0 && c.heard {
		c.probes.next = c.now() // it is needed now
	}
	c.wanted = float64(bitrate)
}

func (c *Controller) now() time.Duration { return c.cfg.Now().Sub(c.start) }

// State is what is known now.
func (c *Controller) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.stall(now)
	s := State{
		Target: int(c.target), Known: c.heard, Stalled: c.stalled, Unheard: c.history.oldest() != nil,
		Queue: max(0, c.queue.length()), RoundTrip: c.trips.value(), Loss: c.losses.lately, Lossy: c.losses.inherent,
	}
	// A key frame is to be there soon, but not to stand before the sound on a path that it fills.
	pace := 2.5
	if c.ceiling > 0 && c.target > 0.6*c.ceiling {
		pace = 1.2
	}
	s.Pace = int(pace * max(c.target, float64(c.cfg.Min)))
	switch {
	case c.stalled:
		s.Hold = c.start.Add(now + time.Second)
	case c.hold > now:
		s.Hold = c.start.Add(c.hold)
	}
	return s
}

// stall notices that nothing is heard of what has been sent.
func (c *Controller) stall(now time.Duration) {
	if c.stalled || !c.heard {
		return
	}
	p := c.history.oldest()
	if p == nil {
		return
	}
	patience := stallTime + 2*c.trips.value() + max(0, c.queue.length())
	if now-p.at > patience && now-c.updated > patience {
		c.stalled, c.stalledSince = true, now
		c.phase, c.hold = steady, 0
		c.probes.abandon()
		c.tell("nothing is heard")
	}
}

// tell logs what has been found out.
func (c *Controller) tell(what string) {
	c.cfg.Log.Debug("network: "+what, "target_bps", int(c.target), "arrives_bps", int(c.acked), "queue", c.queue.length().Round(time.Millisecond),
		"threshold", c.queue.threshold().Round(time.Millisecond), "loss", c.losses.share, "hold", max(0, c.hold-c.now()).Round(time.Millisecond), "in_flight", c.history.inFlight())
}

// Feedback takes what the receiver says.
func (c *Controller) Feedback(fb *rtcp.TransportLayerCC) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.stall(now)
	acks, told, lost := c.history.read(fb)
	if len(acks) == 0 {
		c.losses.add(told, lost, now)
		return
	}
	elapsed := min(now-c.updated, 200*time.Millisecond)
	c.updated = now
	if !c.heard {
		c.heard, elapsed = true, 0
		c.probes.next = now
	}
	newest := acks[0].at
	for _, a := range acks {
		newest = max(newest, a.at)
		delay := a.arrival - a.at
		c.queue.add(delay, a.arrival)
		c.got.add(a.arrival, a.size)
		c.probes.arrived(a)
		switch {
		case delay-c.queue.floor() < lowest:
			c.busy = never
		case c.busy == never:
			c.busy = a.arrival
		}
	}
	arrivedAt := acks[len(acks)-1].arrival
	c.trips.add(now-newest, now)
	c.acked, _ = c.got.since(arrivedAt - rateWindow)
	if c.stalled {
		c.resume(now)
		return
	}
	c.losses.add(told, lost, now)
	switch c.phase {
	case steady:
		c.steady(now, arrivedAt, elapsed)
	case drain, inquire:
		c.settle(now, arrivedAt)
	}
	c.target = min(max(c.target, float64(c.cfg.Min)), float64(c.cfg.Max))
}

// resume goes on after a time in which nothing was heard. The path is taken for what it was, unless that is long ago.
func (c *Controller) resume(now time.Duration) {
	c.stalled, c.hold = false, 0
	c.losses.forget(now + 2*c.trips.value())
	if now-c.stalledSince > longStall {
		c.target = min(c.target, float64(c.cfg.Initial))
		c.ceiling = 0
	}
	c.probes.next = now + 300*time.Millisecond
	c.tell("heard again")
}

func (c *Controller) steady(now, arrivedAt, elapsed time.Duration) {
	switch {
	case c.queue.grows():
		c.narrow(now, arrivedAt)
		return
	case c.queue.stands(arrivedAt):
		c.inquire(now)
		return
	}
	if c.evaluate(now) || c.lossy(now) {
		return
	}
	if now-c.found > ceilingLife {
		c.ceiling = 0
	}
	if c.ceiling > 0 && c.busy != never && arrivedAt-c.busy > neverEmpty {
		// A little too much: an encoder does not keep exactly to what it is told.
		c.target = min(c.target, max(leastOfCeiling*c.ceiling, c.target*math.Pow(shrink, elapsed.Seconds())))
		return
	}
	if c.acked < filled*c.target || c.queue.length() > c.queue.threshold()/2 || c.losses.trial != 0 {
		return
	}
	most := min(headroom*c.acked, wantedMargin*c.wanted)
	if c.ceiling > 0 {
		most = min(most, underCeiling*c.ceiling)
	}
	c.target = max(c.target, min(c.target*math.Pow(fastGrowth, elapsed.Seconds()), most))
}

// narrow takes what arrived while the queue was not empty for what the path carries.
func (c *Controller) narrow(now, arrivedAt time.Duration) {
	carried := c.carried(arrivedAt)
	if carried == 0 {
		return
	}
	c.phase, c.since, c.before, c.length, c.dry = drain, now, c.target, c.queue.length(), false
	c.probes.fail(now)
	c.queue.quiet()
	c.probes.abandon()
	c.ceiling, c.found = carried, now
	c.target = min(c.target, margin*carried)
	c.hold = now + c.drained(carried)
	c.settled()
	c.tell("too narrow")
}

// settled says when it is to be seen whether holding back has helped, and that what the queue had no room for until then is no other loss.
func (c *Controller) settled() {
	c.check = c.hold + c.trips.value() + 120*time.Millisecond
	c.losses.forget(c.check + c.trips.value())
}

// carried is the rate of what has arrived since the queue was last empty, in bit/s; 0 if that is too little to say.
func (c *Controller) carried(arrivedAt time.Duration) float64 {
	from := arrivedAt - rateWindow
	if c.busy != never && c.busy > from-rateWindow {
		from = c.busy
	}
	rate, span := c.got.since(from)
	if span < windowTime {
		rate, _ = c.got.since(arrivedAt - 100*time.Millisecond)
	}
	return rate
}

// drained is how long it takes until what would be sent now finds no queue, if only sound is added.
func (c *Controller) drained(carried float64) time.Duration {
	const sound = 45_000
	rate := max(carried-sound, carried/2)
	seconds := float64(c.history.inFlight()*8) / rate
	return min(max(0, time.Duration(seconds*float64(time.Second))-c.trips.value()), longestHold)
}

// inquire holds pictures for as long as the queue that stands would take to run dry.
func (c *Controller) inquire(now time.Duration) {
	c.phase, c.since, c.before, c.length, c.dry = inquire, now, c.target, c.queue.length(), false
	c.probes.abandon()
	c.hold = now + min(c.length, longestTrial)
	c.check = c.hold + c.trips.value() + 120*time.Millisecond
	c.tell("a queue stands")
}

// settle looks whether the queue has gone.
func (c *Controller) settle(now, arrivedAt time.Duration) {
	length := c.queue.length()
	if c.phase == drain && c.busy != never && now < c.hold {
		// The longer it is looked at, the better is it known.
		if carried := c.carried(arrivedAt); carried > 0 {
			c.ceiling = carried
			c.target = min(c.before, margin*carried)
		}
	}
	if c.phase == drain && now < c.hold {
		// What the queue had no room for was not known of.
		c.hold = min(c.hold, now+c.drained(c.ceiling))
		c.settled()
	}
	// Once is enough: what is sent when pictures go on is a key frame, and makes a queue of its own.
	c.dry = c.dry || length < max(c.queue.threshold()/2, lowest)
	switch {
	case c.dry && (c.phase == inquire || now >= c.hold):
		if c.phase == inquire { // it was a queue, and of what is sent
			c.ceiling, c.found = c.acked, now
			c.target = min(c.target, margin*max(c.acked, float64(c.cfg.Min)))
		}
		c.calm(now)
	case now < c.check:
	case length > c.length*6/10 && length < c.length*14/10 && c.phase == inquire,
		c.phase == drain && length > c.length*8/10 && length < c.length*12/10 && c.busyFlat():
		// Nothing was added, and it is as long as before: that is the way now.
		c.queue.rebase(arrivedAt)
		c.busy = never
		c.target, c.ceiling = c.before, 0
		c.tell("a longer way")
		c.calm(now)
	case c.queue.grows():
		c.narrow(now, arrivedAt)
	case now-c.check > 300*time.Millisecond && c.tries < maxTries:
		c.tries++
		c.inquire(now)
	case now-c.check > 300*time.Millisecond: // somebody else fills it
		c.queue.rebase(arrivedAt)
		c.busy = never
		c.tell("a queue of others")
		c.calm(now)
	}
}

// busyFlat tells that the delay has not changed through the last windows.
func (c *Controller) busyFlat() bool {
	l := c.queue.last
	return max(l[0], l[1], l[2])-min(l[0], l[1], l[2]) < 15*time.Millisecond
}

func (c *Controller) calm(now time.Duration) {
	c.tell("calm")
	c.phase, c.since, c.hold, c.tries = steady, now, 0, 0
	c.queue.standing = never
	c.probes.next = now + c.probes.wait(afterNarrow)
}

// lowestTrip is the least round trip of about roundTrips.
type lowestTrip struct {
	now, prior time.Duration // 0: none
	since      time.Duration
}

func (l *lowestTrip) add(v, at time.Duration) {
	if at-l.since > roundTrips/2 {
		l.prior, l.now, l.since = l.now, 0, at
	}
	if l.now == 0 || v < l.now {
		l.now = max(v, 1)
	}
}

func (l *lowestTrip) value() time.Duration {
	switch {
	case l.now == 0 && l.prior == 0:
		return firstTrip
	case l.now == 0:
		return l.prior
	case l.prior == 0:
		return l.now
	}
	return min(l.now, l.prior)
}
