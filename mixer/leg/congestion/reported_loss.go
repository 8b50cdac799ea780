package congestion

import "time"

const (
	fewPackets = 8    // do not tell what is lost
	some       = 0.02 // of the packets that are lost is a loss

	// Key frames asked for this often, and this far apart, are a sign.
	hintsWithin   = 1500 * time.Millisecond
	hintsApart    = 300 * time.Millisecond
	hintsSettle   = 700 * time.Millisecond // until one counts again
	hintHold      = 500 * time.Millisecond // as long as a queue is that fills
	oftenEnough   = 2 * time.Second        // reports tell sooner
	mostSuspected = 3                      // times in a row
	suspectedCut  = 0.45

	sameReport = 50 * time.Millisecond
)

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
	if now < c.deaf || c.echoing(now) || c.trips.n > 0 && c.trips.every < oftenEnough || now < c.hold+hintsSettle || now < c.since+hintsSettle ||
		l.inherent > 0 && now-l.inherentAt < lossMemory {
		return
	}
	if l.trial == 0 {
		if l.vague == 0 {
			l.before = c.target
		}
		l.loss, l.suspected, l.cuts = 0, true, 0
		c.whole = 0
	}
	if l.cuts == mostSuspected {
		return
	}
	if c.phase != steady {
		c.ease(c.delays(now), now)
	}
	l.cuts++
	l.trial = now
	c.target = max(float64(c.cfg.Min), suspectedCut*min(c.target, c.meter.sending(now)))
	c.hold = now + hintHold
	c.answered(now)
	c.hinted, c.calm = now-2*hintsWithin, now
}

// tally counts losses.
func (c *Reports) tally(n news, now time.Duration) {
	l := &c.losses
	c.whole, c.arrives = max(c.whole, n.share), 0
	if n.share > some {
		c.arrives = n.arrived
		if c.phase == drain && now-c.since < sameReport && c.arrives < c.ceiling { // of one compound with that which told of the queue
			c.ceiling = c.arrives
			c.target = min(c.target, margin*c.arrives)
		}
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
			c.ceiling, c.found = c.target/margin, now
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
		sent = c.meter.sending(now)
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
