package leg

import (
	"time"

	"rendezvous/mixer/ladder"
)

const (
	overhead      = 60_000                 // bit/s kept for sound, RTP headers and RTCP
	shareOfOthers = 1.05                   // of what the path carries, for a rung that others watch too
	sharePatience = 300 * time.Millisecond // the encoder follows a lone watcher's path within this
	upMargin      = 1.1
	climbWait     = 500 * time.Millisecond // that a better rung must fit for
	climbAgain    = 2 * time.Second        // the same soon after it did not
	soonAfter     = 10 * time.Second
	stillWait     = time.Second
	shortHold     = 150 * time.Millisecond // in which pictures wait in the queue
)

// follower picks the rung of a caller. It belongs to the goroutine that calls Port.Adapt.
type follower struct {
	begun   bool
	best    int // Port.SetBest
	rung    int
	still   bool // the path carries no moving picture
	low     time.Time
	high    time.Time
	lowered time.Time
	few     time.Time // since when the path carries less than the last rung needs
}

// decide returns the best rung that fits into what the path carries of pictures, and whether even the last does not. required is
// what a caller must carry to watch a rung as things are, best the first they may have.
func (f *follower) decide(rungs []ladder.Rung, required func(rung int) int, budget, best int, now time.Time) (rung int, still bool) {
	last := len(rungs) - 1
	fits := func(from, upTo int, margin float64) int {
		for r := from; r < upTo; r++ {
			if float64(required(r))*margin <= float64(budget) {
				return r
			}
		}
		return upTo
	}
	if !f.begun {
		f.begun = true
		f.rung = fits(best, last, 1)
	}
	f.rung = min(max(f.rung, best), last)
	f.freeze(least(rungs[last]), budget, now)
	if budget < least(rungs[f.rung]) || float64(required(f.rung)) > shareOfOthers*float64(budget) {
		f.high = time.Time{}
		if f.low.IsZero() {
			f.low = now
		}
		if f.rung < last && (budget < least(rungs[f.rung]) || now.Sub(f.low) >= sharePatience) {
			f.rung = fits(f.rung+1, last, 1)
			f.low, f.lowered = time.Time{}, now
		}
		return f.rung, f.still
	}
	f.low = time.Time{}
	better := fits(best, f.rung, upMargin)
	if better == f.rung {
		f.high = time.Time{}
		return f.rung, f.still
	}
	wait := climbWait
	if now.Sub(f.lowered) < soonAfter {
		wait = climbAgain
	}
	if f.high.IsZero() {
		f.high = now
	}
	if now.Sub(f.high) >= wait {
		f.rung, f.high = better, time.Time{}
	}
	return f.rung, f.still
}

// freeze decides whether there is a moving picture at all.
func (f *follower) freeze(need, budget int, now time.Time) {
	switch {
	case budget >= need:
		f.few, f.still = time.Time{}, false
	case f.few.IsZero():
		f.few = now
	case now.Sub(f.few) >= stillWait && budget < need*9/10:
		f.still = true
	}
}

// least is what a rung needs at least, in bit/s.
func least(r ladder.Rung) int {
	if r.Min > 0 {
		return r.Min
	}
	return r.Bitrate
}

// most is what a rung can use.
func most(r ladder.Rung) int { return max(r.Max, r.Bitrate) }
