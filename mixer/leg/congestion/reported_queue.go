package congestion

import (
	"math"
	"time"
)

const (
	slowGrowth   = 1.05    // per second, where the path was too narrow before
	bestGrowth   = 1.20    // elsewhere
	askedGrowth  = 1.35    // and where the queue is measured several times a second
	reportGrowth = 1.40    // by one report, at most
	slowReport   = 1.10    // and where it was too narrow before
	passed       = 1.12    // of the ceiling, and it is a ceiling no more
	little       = 200_000 // bit/s that need not be sent for the target to be raised: it may be too little for any picture
	enough       = 0.6     // of the target must be sent for it to be raised

	tryAfter   = 5 * time.Second // that all must be well until more than headroom is tried; twice as long after each failure
	longestTry = 80 * time.Second
	trySettles = 8 * time.Second // a try has failed if the path is too narrow within

	starvedAfter = 6 * time.Second
	holdsAtMost  = 2500 * time.Millisecond
	trialEnds    = 4 * time.Second
	reportMargin = 0.85 // of what the path carries is what is sent: it is not known exactly
	against      = 0.8  // of what the path was thought to carry, if that was too much
)

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
		carried := c.meter.sending(now) * (1 - c.share)
		if measured := d.carries(0); measured > 0 {
			carried = min(carried, measured)
		}
		switch {
		case !d.seldom():
		case c.arrives > 0:
			carried = min(carried, c.arrives)
		default: // one delay, and nothing is lost: perhaps less was sent than might have been
			carried = max(carried, against*c.target)
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
	sending := c.meter.sending(now)
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
	if c.echoing(now) {
		rate = askedGrowth
	}
	switch {
	case c.ceiling == 0:
	case c.target > passed*c.ceiling:
		c.ceiling = 0
	case c.target > underCeiling*c.ceiling:
		rate = slowGrowth
	default:
		most = min(most, c.ceiling)
	}
	step := reportGrowth
	if rate == slowGrowth {
		step = slowReport
	}
	by := min(math.Pow(rate, min(elapsed, max(250*time.Millisecond, 2*every)).Seconds()), step)
	c.target = max(c.target, min(c.target*by, most, wantedMargin*c.wanted, float64(c.cfg.Max)))
}

// starve raises a target that is too little for any picture where nothing is said any more: reports that come by bytes (FFmpeg's) do not
// come without pictures.
func (c *Reports) starve(now time.Duration) {
	if !c.heard || c.target >= little || now-max(c.grown, c.hold) < max(starvedAfter, 2*c.trips.every) || c.silent(now) {
		return
	}
	if c.phase != steady {
		c.ease(c.delays(now), now)
	}
	most := float64(little)
	if c.ceiling > 0 && now-c.found < 3*starvedAfter {
		most = min(most, max(c.target, c.ceiling))
	}
	c.target = min(most, c.target*reportGrowth)
	c.grown = now
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
	c.ceiling, c.carried, c.found = carried, carried, now
	c.target = min(c.target, reportMargin*carried)
	// What has left since what was measured had left stands behind it.
	newest := d.newest()
	behind := time.Duration(float64(8*(c.meter.total-newest.total))/carried*float64(time.Second)) - (now - newest.sent)
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
	c.cut, c.sent = now, c.meter.sending(now)
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
			c.target = min(c.target, reportMargin*carried)
		}
		c.ease(d, now)
	case sent < c.hold && c.phase == drain:
		// What is not counted, such as signalling, is much of what goes on: it cannot be told exactly.
		if carried := d.carries(c.cut); carried > 0 && carried < c.ceiling {
			c.ceiling, c.found = max(carried, c.carried/2), now
			c.target = min(c.target, reportMargin*c.ceiling)
		}
		// Until the next answer, which may tell that it has run dry.
		c.hold = min(sent+c.drained(length, c.ceiling)+min(d.every, longestAsk), c.since+holdsAtMost)
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
			carried = against * c.meter.sending(now)
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
