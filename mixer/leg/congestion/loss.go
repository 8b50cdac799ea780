package congestion

import "time"

const (
	lossTime    = 600 * time.Millisecond // what is lost is counted for at least this long
	lossPackets = 20                     // and of this many packets
	lossHeavy   = 0.10
	lossCut     = 0.75 // of what is sent is tried, and less if less arrives
	lossTrial   = 1500 * time.Millisecond
	lossSlack   = 0.06 // more than the path's own is too much
	lossMemory  = 30 * time.Second
)

// losses is what of late was not received.
type losses struct {
	told, lost int
	since      time.Duration
	share      float64 // of the last full count
	fresh      bool    // that has not been judged yet
	lately     float64 // smoothed

	inherent   float64 // what the path loses by itself
	inherentAt time.Duration
	trial      time.Duration // since when a lower target is tried, 0: it is not
	before     float64       // target before
	loss       float64       // share before
	suspected  bool          // it is tried though no share was known (Reports)
	cuts       int           // how often
	vague      int           // trials of this kind that have told nothing
}

func (l *losses) add(told, lost int, now time.Duration) {
	if now < l.since { // what was sent before it says nothing
		return
	}
	l.told += told
	l.lost += lost
	if l.told < lossPackets || now-l.since < lossTime {
		return
	}
	l.share = max(0, float64(l.lost)/float64(l.told))
	l.lately += (l.share - l.lately) / 2
	l.told, l.lost, l.since, l.fresh = 0, 0, now, true
}

// forget begins to count anew at a time.
func (l *losses) forget(from time.Duration) {
	l.told, l.lost, l.since, l.fresh, l.trial = 0, 0, from, false, 0
}

// lossy looks whether so much is lost, without a queue, that it may be because of what is sent: a path may have a bound
// and no queue. It reports whether the target is being tried.
func (c *Controller) lossy(now time.Duration) bool {
	l := &c.losses
	if !l.fresh {
		return false
	}
	if l.trial == 0 && now-l.inherentAt > lossMemory {
		l.inherent = 0
	}
	if l.trial != 0 && now-l.trial < lossTrial {
		return true
	}
	l.fresh = false
	if l.trial == 0 && c.queue.length() > c.queue.threshold()/2 {
		return false // what is lost found no room in the queue
	}
	switch {
	case l.trial != 0:
		l.trial = 0
		if l.share > l.loss/2 {
			l.inherent, l.inherentAt = max(l.share, l.loss), now
			c.target = max(c.target, l.before)
		} else {
			c.ceiling, c.found = max(c.acked, c.target), now
		}
		c.probes.next = now + probeEvery
		c.tell("loss was tried")
		return false
	case l.share > lossHeavy && l.share > l.inherent+lossSlack:
		l.trial, l.before, l.loss = now, c.target, l.share
		c.target = min(c.target, max(float64(c.cfg.Min), min(lossCut*c.acked/(1-l.share), margin*c.acked)))
		l.told, l.lost, l.since = 0, 0, now+2*c.trips.value()
		c.probes.abandon()
		c.tell("loss without a queue")
		return true
	case l.share > l.inherent/2:
		l.inherentAt = now
	default:
		l.inherent = l.share
	}
	return false
}
