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
	// A path that is not filled shows no more than it carries: an estimator cannot see beyond
	// about 1.5 times what is sent. So when all is well for a while the next rung is tried,
	// and after a failure the wait is doubled.
	probeWait    = 6 * time.Second
	maxProbeWait = 90 * time.Second
)

// adapter moves one caller between rungs as his path allows. It belongs to the
// goroutine that asks Leg.Watching.
type adapter struct {
	at         time.Time // of the last decision
	rung       int
	lowSince   time.Time // estimate below the present rung
	highSince  time.Time // estimate above the next better one
	calmSince  time.Time // nothing wrong since
	probed     time.Time // last try upwards
	probeDelay time.Duration
}

// decide returns the rung to show, given what the path carries.
func (a *adapter) decide(rungs []ladder.Rung, available int, loss int, now time.Time) int {
	if len(rungs) == 0 {
		return 0
	}
	if a.probeDelay == 0 {
		a.probeDelay = probeWait
		a.calmSince = now
		// Begin with the best rung that the first estimate carries.
		for a.rung < len(rungs)-1 && need(rungs[a.rung]) > available {
			a.rung++
		}
	}
	a.rung = min(a.rung, len(rungs)-1)
	here := need(rungs[a.rung])

	if available < here*85/100 || loss > 10 {
		a.calmSince, a.highSince = now, time.Time{}
		if a.lowSince.IsZero() {
			a.lowSince = now
		}
		if a.rung < len(rungs)-1 && now.Sub(a.lowSince) >= downPatience {
			if now.Sub(a.probed) < 4*probeWait/3 && !a.probed.IsZero() { // the try failed
				a.probeDelay = min(2*a.probeDelay, maxProbeWait)
			}
			for a.rung < len(rungs)-1 && need(rungs[a.rung])*85/100 > available {
				a.rung++
			}
			if loss > 10 && available >= here*85/100 {
				a.rung++
			}
			a.lowSince = time.Time{}
		}
		return a.rung
	}
	a.lowSince = time.Time{}
	if loss > 3 {
		a.calmSince = now
	}
	if a.rung == 0 {
		if now.Sub(a.calmSince) > maxProbeWait {
			a.probeDelay = probeWait
		}
		return 0
	}
	better := need(rungs[a.rung-1])
	switch {
	case available >= better*110/100:
		if a.highSince.IsZero() {
			a.highSince = now
		}
		if now.Sub(a.highSince) >= upPatience {
			a.up(now)
		}
	case available >= here*115/100 && now.Sub(a.calmSince) >= a.probeDelay && now.Sub(a.probed) >= a.probeDelay:
		a.up(now)
	default:
		a.highSince = time.Time{}
	}
	return a.rung
}

func (a *adapter) up(now time.Time) {
	a.rung--
	a.probed, a.highSince = now, time.Time{}
}

// need is what a rung takes on the wire, in bit/s.
func need(r ladder.Rung) int { return r.Bitrate + overhead }
