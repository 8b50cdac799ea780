package leg

import (
	"time"

	"rendezvous/mixer/ladder"
)

const (
	adaptInterval = 250 * time.Millisecond
	overhead      = 60_000 // bit/s kept for sound, RTP headers and RTCP
	downPatience  = 400 * time.Millisecond
	upPatience    = 1500 * time.Millisecond
	lossSettle    = 900 * time.Millisecond
	// A path that is not filled shows no more than it carries: an estimator cannot see beyond
	// about 1.5 times what is sent. So when all is well for a while the next rung is tried,
	// and after a failure the wait is doubled.
	probeWait    = 6 * time.Second
	maxProbeWait = 90 * time.Second
	tryTime      = 10 * time.Second // a step up that is taken back within it has failed
)

// path is what one decision is made from.
type path struct {
	available int       // bit/s
	measured  bool      // somebody estimates available; else it says only that there is no loss
	loss      int       // percent, as the peer reported
	lossAt    time.Time // when it did
	best      int       // rung that the receiver says it can take
}

// adapter moves one caller between rungs as their path allows. It belongs to the
// goroutine that calls Port.Adapt.
type adapter struct {
	at         time.Time // of the last decision
	begun      bool
	rung       int
	moved      time.Time // last change of rung
	lowSince   time.Time // estimate below the present rung
	highSince  time.Time // estimate above the next better one
	calmSince  time.Time // nothing wrong since
	raised     time.Time // last step upwards
	probeDelay time.Duration
}

// decide returns the rung to show, given what the path carries.
func (a *adapter) decide(rungs []ladder.Rung, p path, now time.Time) int {
	if len(rungs) == 0 {
		return 0
	}
	if !a.begun {
		a.begun, a.probeDelay, a.calmSince = true, probeWait, now
		// Begin with the best rung that the first estimate carries.
		for a.rung < len(rungs)-1 && need(rungs[a.rung]) > p.available {
			a.rung++
		}
	}
	a.rung = min(max(a.rung, p.best), len(rungs)-1)
	here := need(rungs[a.rung])
	narrow := p.available < here*85/100
	// A report tells of the time before it: one that came soon after a step is of the rung before.
	lossy := p.loss > heavyLoss && p.lossAt.Sub(a.moved) >= lossSettle
	if narrow || lossy {
		a.calmSince, a.highSince = now, time.Time{}
		if a.lowSince.IsZero() {
			a.lowSince = now
		}
		if a.rung < len(rungs)-1 && now.Sub(a.lowSince) >= downPatience {
			a.down(rungs, p.available, now)
		}
		return a.rung
	}
	a.lowSince = time.Time{}
	if p.loss > 3 {
		a.calmSince = now
	}
	if now.Sub(a.calmSince) > 2*maxProbeWait {
		a.probeDelay = probeWait // what failed is long ago
	}
	if a.rung <= p.best {
		a.highSince = time.Time{}
		return a.rung
	}
	// Where a try has failed, an estimate must be good for longer to be believed.
	patience := upPatience
	if a.probeDelay > probeWait {
		patience = a.probeDelay / 4
	}
	switch better := need(rungs[a.rung-1]); {
	case p.measured && p.available >= better*110/100:
		if a.highSince.IsZero() {
			a.highSince = now
		}
		if now.Sub(a.highSince) >= patience {
			a.up(now)
		}
		return a.rung
	case !p.measured || p.available >= here*115/100:
		if now.Sub(a.calmSince) >= a.probeDelay && now.Sub(a.raised) >= a.probeDelay {
			a.up(now)
		}
	}
	a.highSince = time.Time{}
	return a.rung
}

func (a *adapter) up(now time.Time) {
	a.rung--
	a.raised, a.moved, a.highSince = now, now, time.Time{}
}

// down goes to the best rung that fits, one below at least.
func (a *adapter) down(rungs []ladder.Rung, available int, now time.Time) {
	if !a.raised.IsZero() && now.Sub(a.raised) < tryTime {
		a.probeDelay = min(2*a.probeDelay, maxProbeWait)
	}
	a.rung++
	for a.rung < len(rungs)-1 && need(rungs[a.rung])*85/100 > available {
		a.rung++
	}
	a.moved, a.lowSince = now, time.Time{}
}

// need is what a rung takes on the wire, in bit/s.
func need(r ladder.Rung) int { return r.Bitrate + overhead }
