package congestion

import (
	"math"
	"sync"
	"time"
)

const (
	meterKept = 512 // marks of what has left
	meterStep = 10 * time.Millisecond
	sentOver  = time.Second // what is sent is told from so long

	slowGrowth    = 1.05            // per second, where the path was too narrow before
	bestGrowth    = 1.20            // elsewhere
	reportGrowth  = 1.30            // by one report, at most
	passed        = 1.12            // of the ceiling, and it is a ceiling no more
	little        = 200_000         // bit/s that need not be sent for the target to be raised: it may be too little for any picture
	enough        = 0.6             // of the target must be sent for it to be raised
	tryAfter      = 5 * time.Second // that all must be well until more than headroom is tried
	longestTry    = 80 * time.Second
	trySettles    = 8 * time.Second // a try has failed if the path is too narrow within
	boundLife     = 8 * time.Second
	echoesTrusted = 8 // of them, and their absence says something
	firstEchoes   = 400 * time.Millisecond
	reportPace    = 2.0
	holdsAtMost   = 2500 * time.Millisecond
	trialEnds     = 4 * time.Second
	hintsWithin   = 1500 * time.Millisecond
	hintsApart    = 300 * time.Millisecond
	hintsSettle   = 700 * time.Millisecond
	hintHold      = 500 * time.Millisecond // as long as a queue is that fills
	oftenEnough   = 2 * time.Second        // between two reports
	mostSuspected = 3
	suspectedCut  = 0.45
	some          = 0.02 // of the packets that are lost is a loss
	against       = 0.8  // of what it was thought to carry, if that was too much
	fewPackets    = 8    // do not tell what is lost
	drainedWithin = 300 * time.Millisecond
)

// Reports estimates the path to a receiver that tells little: receiver reports (RFC 3550) on each stream, round trips, and perhaps a bound
// (REMB). Its methods, and its flows', may be called from any goroutine.
type Reports struct {
	cfg Config

	mu    sync.Mutex // guards all below, and the flows
	start time.Time
	flows []*Flow
	total int64 // bytes that have left
	marks [meterKept]mark
	first int // of marks
	count int

	echoes  delays // answers to questions
	trips   delays // of sender reports and back
	losses  losses
	share   float64       // lost, by the newest report
	arrives float64       // bit/s between two reports of which the second told of loss, 0: it did not
	whole   float64       // the most lost since a cut, with what is answered already
	hinted  time.Duration // when something was last seen that may be a sign
	deaf    time.Duration // until when such signs are none
	bound   float64       // 0: none
	boundAt time.Duration

	target, wanted, ceiling float64
	found                   time.Duration // the ceiling
	heard                   bool
	grown                   time.Duration
	calm                    time.Duration // since when all has been well
	tryWait                 time.Duration // before more than headroom is tried
	tried                   time.Duration // when that began; never: it has not

	phase  phase
	since  time.Duration
	cut    time.Duration // what has left before it is no new sign
	hold   time.Duration
	length time.Duration // of the queue then
	least  time.Duration // the shortest since
	before float64
	sent   float64 // bit/s then
	sound  float64 // that go on while pictures are held
	tries  int
}

// mark is how much had left when.
type mark struct {
	at    time.Duration
	total int64
}

// NewReports returns a controller that knows nothing of its path.
func NewReports(cfg Config) *Reports {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Reports{cfg: cfg, start: cfg.Now(), target: float64(cfg.Initial), tryWait: tryAfter, tried: never, hinted: -hintsWithin, sound: 60_000}
}

// Flow adds a stream.
func (c *Reports) Flow() *Flow {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &Flow{c: c}
	c.flows = append(c.flows, f)
	return f
}

// Remove forgets a stream.
func (c *Reports) Remove(f *Flow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, g := range c.flows {
		if g == f {
			c.flows = append(c.flows[:i], c.flows[i+1:]...)
			return
		}
	}
}

func (c *Reports) now() time.Duration { return c.cfg.Now().Sub(c.start) }

// Again notes that a packet, of so many bytes as RTP, is sent again.
func (c *Reports) Again(size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave(size, c.now())
}

// leave notes that bytes leave.
func (c *Reports) leave(size int, now time.Duration) {
	c.total += int64(size + Overhead)
	if c.count > 0 {
		if m := &c.marks[(c.first+c.count-1)%meterKept]; now-m.at < meterStep {
			m.total = c.total
			return
		}
	}
	if c.count == meterKept {
		c.first, c.count = (c.first+1)%meterKept, c.count-1
	}
	c.marks[(c.first+c.count)%meterKept] = mark{now, c.total}
	c.count++
}

// by is how many bytes had left at a time.
func (c *Reports) by(at time.Duration) int64 {
	for i := c.count - 1; i >= 0; i-- {
		if m := c.marks[(c.first+i)%meterKept]; m.at <= at {
			return m.total
		}
	}
	return 0
}

// sending is what has been sent lately, in bit/s.
func (c *Reports) sending(now time.Duration) float64 {
	from := max(0, now-sentOver)
	if c.count > 0 {
		from = max(from, c.marks[c.first].at)
	}
	if now-from < sentOver/4 {
		return 0
	}
	return float64(8*(c.total-c.by(from))) / (now - from).Seconds()
}

// Want is Controller.Want.
func (c *Reports) Want(bitrate int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = float64(bitrate)
}

// State is what is known now. Nothing is ever probed with padding, so that it is never Unheard or Stalled.
func (c *Reports) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	d := c.delays(now)
	s := State{Target: int(c.allowed(now)), Known: c.heard, Loss: c.losses.lately, Lossy: c.losses.inherent}
	if d.n > 0 {
		s.RoundTrip = max(d.floor(), 1)
		if now-d.at < 3*max(d.every, time.Second) {
			s.Queue = max(0, d.length())
		}
	}
	pace := reportPace
	if c.ceiling > 0 && c.target > 0.6*c.ceiling {
		pace = 1.2
	}
	s.Pace = int(pace * max(float64(s.Target), float64(c.cfg.Min)))
	switch {
	case c.silent(now):
		s.Hold = c.start.Add(now + 200*time.Millisecond)
	case c.hold > now:
		s.Hold = c.start.Add(c.hold)
	}
	return s
}

// allowed is the target within the receiver's bound.
func (c *Reports) allowed(now time.Duration) float64 {
	t := c.target
	if c.bound > 0 && now-c.boundAt < boundLife && !c.echoing(now) {
		t = min(t, c.bound)
	}
	return max(t, float64(c.cfg.Min))
}

// echoing tells that the path is measured by questions.
func (c *Reports) echoing(now time.Duration) bool {
	return c.echoes.n > 1 && now-c.echoes.at < max(time.Second, 4*c.echoes.every)
}

// silent tells that nothing is answered any more by somebody who has answered at once, and often.
func (c *Reports) silent(now time.Duration) bool {
	e := &c.echoes
	return e.n >= echoesTrusted && e.every < firstEchoes && c.asked(now) &&
		now-e.at > stallTime+2*e.floor()+max(0, e.length())+2*e.every && now-e.at < longStall
}

// asked tells that there has been something to be answered.
func (c *Reports) asked(now time.Duration) bool { return c.total > c.by(max(0, now-stallTime)) }

// delays are those that say most of the queue.
func (c *Reports) delays(now time.Duration) *delays {
	if now < c.deaf || c.echoing(now) || c.trips.n == 0 {
		return &c.echoes
	}
	return &c.trips
}

// Echo takes the answer to a question that was sent by the path of what is sent, and answered at once.
func (c *Reports) Echo(trip time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	quiet := c.silent(now)
	sent := now - trip
	c.echoes.add(echo{sent, trip, c.by(sent)}, now)
	c.begin(now)
	if quiet {
		c.losses.forget(now + trip)
		for _, f := range c.flows {
			f.answered()
		}
	}
	c.follow(&c.echoes, sent, now)
}

// Report is what a receiver's report says of one flow.
type Report struct {
	Highest uint32        // sequence number that has come
	Lost    uint8         // share since the report before, of 256
	Trip    time.Duration // of the newest sender report that they have, and back; 0: not known
	Sent    time.Duration // how long ago that sender report left
}

// Report takes a receiver's report.
func (f *Flow) Report(r Report) {
	c := f.c
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	n, ok := f.read(r.Highest, r.Lost, now)
	c.begin(now)
	if r.Trip > 0 {
		sent := now - r.Sent
		c.trips.add(echo{sent, r.Trip, c.by(sent)}, now)
	}
	if ok {
		c.tally(n, now)
	}
	if c.echoing(now) {
		if c.phase == steady {
			c.judge(n, now)
		}
		return
	}
	if r.Trip > 0 {
		c.follow(&c.trips, now-r.Sent, now)
	}
	if c.phase == steady && ok && !c.judge(n, now) && r.Trip == 0 {
		c.grow(now, now-c.grown)
	}
}

// Broken notes that the receiver lacks something of the pictures, and asks for a key frame. Of one whose reports are seldom, nothing
// tells sooner that the path is too narrow.
func (c *Reports) Broken() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now-c.hinted > hintsWithin { // once is no sign: people switch things on
		c.hinted = now
		return
	}
	if now-c.hinted > hintsApart {
		c.suspect(now)
	}
}

// suspect lowers the target by something that is no measurement, until a report tells.
func (c *Reports) suspect(now time.Duration) {
	l := &c.losses
	if now < c.deaf || c.echoing(now) || c.trips.n > 0 && c.trips.every < oftenEnough || c.phase != steady || now < c.hold+hintsSettle ||
		l.inherent > 0 && now-l.inherentAt < lossMemory {
		return
	}
	if l.trial == 0 {
		l.before, l.loss, l.suspected, l.cuts = c.target, 0, true, 0
		c.whole = 0
	}
	if l.cuts == mostSuspected {
		return
	}
	l.cuts++
	l.trial = now
	c.target = max(float64(c.cfg.Min), suspectedCut*min(c.target, c.sending(now)))
	c.hold = now + hintHold
	c.answered(now)
	c.hinted, c.calm = now-2*hintsWithin, now
}

// begin notes that the receiver has told of something.
func (c *Reports) begin(now time.Duration) {
	if !c.heard {
		c.heard, c.grown, c.calm = true, now, now
	}
}

// tally counts losses.
func (c *Reports) tally(n news, now time.Duration) {
	l := &c.losses
	c.whole, c.arrives = max(c.whole, n.share), 0
	if n.share > some {
		c.arrives = n.arrived
	}
	if n.told >= fewPackets {
		c.share = float64(n.lost) / float64(n.told)
	}
	l.told += n.told
	l.lost += n.lost
	if l.told < lossPackets || now-l.since < lossTime {
		return
	}
	l.share = float64(l.lost) / float64(l.told)
	l.lately += (l.share - l.lately) / 2
	l.told, l.lost, l.since, l.fresh = 0, 0, now, true
}

// judge looks whether so much is lost that it may be because of what is sent. It reports whether it does something about it.
func (c *Reports) judge(n news, now time.Duration) bool {
	l := &c.losses
	if !l.fresh {
		return l.trial != 0
	}
	l.fresh = false
	if l.trial == 0 && now-l.inherentAt > lossMemory {
		l.inherent = 0
	}
	d := c.delays(now)
	switch {
	case l.trial != 0 && l.suspected:
		l.trial, l.suspected = 0, false
		switch {
		case l.share > some: // though less than half is sent
			l.inherent, l.inherentAt = l.share, now
			c.target = max(c.target, l.before)
		case c.whole <= some: // nothing was lost at all: the signs were none
			c.target = max(c.target, l.before)
			c.deaf = now + lossMemory
		case l.vague > 0: // nor has the last time shown that the path is too narrow
			l.vague = 0
			c.target = max(c.target, l.before)
			c.deaf = now + lossMemory
		default:
			l.vague++
		}
		c.calm = now
	case l.trial != 0:
		l.trial = 0
		if l.share > l.loss/2 {
			l.inherent, l.inherentAt = max(l.share, l.loss), now
			c.target = max(c.target, l.before)
		} else {
			c.ceiling, c.found = c.target/margin, now
			c.failed(now)
		}
		c.calm = now
	case l.share > lossHeavy && l.share > l.inherent+lossSlack:
		carried := c.arrived(n, now)
		if length := d.length(); d.n > 1 && length > d.threshold() {
			c.narrow(d, carried, length, now)
			return true
		}
		l.trial, l.before, l.loss, l.suspected = now, c.target, l.share, false
		c.target = max(float64(c.cfg.Min), min(c.target, margin*carried))
		c.answered(now)
		c.calm = now
		return true
	case l.share > l.inherent/2:
		l.inherentAt = now
	default:
		l.inherent = l.share
	}
	return false
}

// arrived is what arrives of what is sent where so much is lost.
func (c *Reports) arrived(n news, now time.Duration) float64 {
	sent := n.left
	if sent == 0 {
		sent = c.sending(now)
	}
	if sent == 0 {
		sent = c.target
	}
	return sent * (1 - c.losses.share)
}

// answered says that losses of what has left until now are no new sign.
func (c *Reports) answered(now time.Duration) {
	c.cut = now
	for _, f := range c.flows {
		f.answered()
	}
	c.losses.told, c.losses.lost, c.losses.since, c.losses.fresh = 0, 0, now, false
}

// Bound takes what the receiver says that it can take, in bit/s. Where its path is measured by questions that says nothing new.
func (c *Reports) Bound(bitrate float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.begin(now)
	before, known := c.bound, c.bound > 0 && now-c.boundAt < boundLife
	if known && bitrate < before && (c.phase != steady || now-c.since < drainedWithin) {
		return // a cut has answered it already
	}
	c.bound, c.boundAt = bitrate, now
	if c.echoing(now) || !known || bitrate > before*margin || bitrate >= c.sending(now) {
		return
	}
	c.suspect(now)
}

// follow takes a measurement of the queue.
func (c *Reports) follow(d *delays, sent, now time.Duration) {
	switch c.phase {
	case steady:
		c.steady(d, now)
	case drain, inquire:
		c.settle(d, sent, now)
	}
	c.target = min(max(c.target, float64(c.cfg.Min)), float64(c.cfg.Max))
}

func (c *Reports) steady(d *delays, now time.Duration) {
	if length, full := d.full(); full {
		carried := c.sending(now) * (1 - c.share)
		if measured := d.carries(0); measured > 0 {
			carried = min(carried, measured)
		}
		if d.seldom() && c.arrives > 0 {
			carried = min(carried, c.arrives)
		}
		if carried > 0 {
			c.narrow(d, carried, length, now)
			return
		}
	}
	if d.stands(now) && !d.seldom() {
		c.inquire(d, now)
		return
	}
	if now-c.found > ceilingLife {
		c.ceiling = 0
	}
	if c.losses.trial != 0 && now-c.losses.trial > trialEnds+2*c.trips.every {
		c.losses.trial = 0 // nothing more is told
	}
	if d.length() > max(d.threshold()/2, lowest) || c.losses.trial != 0 {
		c.grown = now
		return
	}
	c.grow(now, d.every)
}

// grow raises the target, as nothing speaks against it.
func (c *Reports) grow(now, every time.Duration) {
	elapsed := now - c.grown
	c.grown = now
	sending := c.sending(now)
	if sending < enough*c.target && c.target >= little || c.wanted == 0 || c.target >= wantedMargin*c.wanted {
		return
	}
	most := headroom * max(sending, little)
	if now-c.calm >= c.tryWait { // what is sent may be all that there is at this rung
		if c.tried == never && c.target >= most*underCeiling {
			c.tried = now
		}
		most = math.Inf(1)
	}
	rate := bestGrowth
	switch {
	case c.ceiling == 0:
	case c.target > passed*c.ceiling:
		c.ceiling = 0
	case c.target > underCeiling*c.ceiling:
		rate = slowGrowth
	default:
		most = min(most, c.ceiling)
	}
	by := min(math.Pow(rate, min(elapsed, max(250*time.Millisecond, 2*every)).Seconds()), reportGrowth)
	c.target = max(c.target, min(c.target*by, most, wantedMargin*c.wanted, float64(c.cfg.Max)))
}

// failed notes that the path does not carry what was tried.
func (c *Reports) failed(now time.Duration) {
	if c.tried != never && now-c.tried < trySettles+c.trips.every {
		c.tryWait = min(2*c.tryWait, longestTry)
	} else if c.tried == never && now-c.calm > longestTry {
		c.tryWait = tryAfter
	}
	c.tried, c.calm = never, now
}

// narrow lowers the target to what the path carries, and holds pictures until the queue has run dry.
func (c *Reports) narrow(d *delays, carried float64, length, now time.Duration) {
	c.phase, c.since, c.before, c.length, c.least = drain, now, c.target, length, never
	c.failed(now)
	c.echoes.quiet()
	c.trips.quiet()
	c.whole = 0
	c.losses.trial, c.losses.vague = 0, 0
	c.ceiling, c.found = carried, now
	c.target = min(c.target, margin*carried)
	// What has left since what was measured had left stands behind it.
	newest := d.newest()
	behind := time.Duration(float64(8*(c.total-newest.total))/carried*float64(time.Second)) - (now - newest.sent)
	c.hold = now + c.drained(max(0, length+min(behind, length)), carried)
	c.answered(now)
}

// drained is how long a queue takes to run dry while only sound is added.
func (c *Reports) drained(length time.Duration, carried float64) time.Duration {
	return min(time.Duration(float64(length)*carried/max(carried-c.sound, carried/2)), longestHold)
}

// inquire holds pictures for as long as the queue that stands would take to run dry.
func (c *Reports) inquire(d *delays, now time.Duration) {
	c.phase, c.since, c.before, c.length, c.least = inquire, now, c.target, d.length(), never
	c.hold = now + min(c.length, longestTrial)
	c.cut, c.sent = now, c.sending(now)
}

// settle looks whether the queue has gone.
func (c *Reports) settle(d *delays, sent, now time.Duration) {
	if d.seldom() { // no more will be said of it
		if now < c.hold || sent < c.cut {
			return
		}
		length := d.length()
		own := length > c.length*7/10 && length < c.length*13/10 && c.whole <= some
		c.ease(d, now)
		if own { // less was sent, and it is as long as before
			d.rebase(now)
			c.target, c.ceiling = max(c.target, c.before), 0
		}
		c.steady(d, now)
		return
	}
	if sent < c.cut {
		return // it says nothing of what the cut has done
	}
	length := d.newest().trip - d.floor()
	c.least = min(c.least, length)
	switch {
	case length < max(d.threshold()/2, lowest): // it has run dry, if only for a moment
		if c.phase == inquire { // so it was a queue, and of what is sent
			carried := max(c.sent, float64(c.cfg.Min))
			c.ceiling, c.found = carried, now
			c.target = min(c.target, margin*carried)
		}
		c.ease(d, now)
	case sent < c.hold && c.phase == drain:
		if carried := d.carries(c.cut); carried > 0 && carried < c.ceiling {
			c.ceiling, c.found = carried, now
			c.target = min(c.target, margin*carried)
		}
		c.hold = min(sent+c.drained(length, c.ceiling), c.since+holdsAtMost)
	case sent < c.hold:
	case c.length-c.least < min(c.hold-c.cut, c.length)*4/10:
		// Hardly anything was added, and it is as long as before: that is the way now.
		d.rebase(now)
		c.target, c.ceiling = c.before, 0
		c.ease(d, now)
	case length <= d.threshold():
		c.ease(d, now)
	case c.tries < maxTries:
		tries := c.tries
		carried := min(d.carries(0), against*c.ceiling)
		if c.phase == inquire || carried <= 0 {
			carried = against * c.sending(now)
		}
		c.narrow(d, max(carried, float64(c.cfg.Min)), length, now)
		c.tries = tries + 1
	default: // somebody else fills it
		d.rebase(now)
		c.ease(d, now)
	}
}

func (c *Reports) ease(d *delays, now time.Duration) {
	c.phase, c.since, c.hold, c.tries = steady, now, 0, 0
	c.grown, c.calm = now, now
	d.standing = never
}

// ReportEvery is how often sender reports of pictures are sent to a receiver that answers by them alone.
const ReportEvery = 250 * time.Millisecond

// Ask is how often a receiver who answers is asked: so often that it is a small part of a target.
func Ask(target int) time.Duration {
	const share, size = 0.015, 8 * 120
	return min(max(time.Duration(size/(share*float64(max(target, 1)))*float64(time.Second)), 50*time.Millisecond), 200*time.Millisecond)
}
