package ladder

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// A viewer whose network carries less than the others' is followed down to this part of what the best
	// carries. Who carries less finds the bitrate above their own and takes a lower rung.
	sharedLoss = 0.95 // where all have the rung's own bitrate: nobody pays much for one bad network
	scarceLoss = 0.75 // below it, where several encodes would cost more than a worse picture

	riseInterval = 100 * time.Millisecond // between two steps up
	riseStep     = 1.08
	leastRise    = 1.03 // what is not worth telling the encoder, upwards
	leastFall    = 0.99 // and downwards

	entry = 1.05 // what a rung that nobody watches asks of its first viewer, as part of Min
)

// fill says what Min and Max are if they were left out.
func (r Rung) fill() Rung {
	if r.Min == 0 {
		r.Min = r.Bitrate
	}
	if r.Max == 0 {
		r.Max = r.Bitrate
	}
	return r
}

// least is the lowest bitrate of the rung's encode: half of the pictures do with two thirds.
func (r Rung) least(halved bool) int {
	if halved {
		return r.Min * 2 / 3
	}
	return r.Min
}

// aim is the bitrate that serves the most viewers of a rung, of whom each carries one of budgets.
func (r Rung) aim(budgets []int, halved bool) int {
	limit := r.Max
	if len(budgets) > 1 {
		limit = r.Bitrate
	}
	best := 0
	for _, b := range budgets {
		best = max(best, min(b, limit))
	}
	part := scarceLoss
	if best >= r.Bitrate {
		part = sharedLoss
	}
	least := int(math.Ceil(part * float64(best)))
	aim := best
	for _, b := range budgets {
		if b >= least {
			aim = min(aim, b)
		}
	}
	return max(aim, r.least(halved))
}

// rate is the bitrate of one encode as it follows those who watch.
type rate struct {
	bitrate int       // bit/s, 0 before the first viewer
	risen   time.Time // last step up
}

// follow moves towards aim, down at once and up by steps, and reports whether the bitrate is another now. anew says
// that nobody has watched until now: nothing is to be smooth for.
func (r *rate) follow(aim int, anew bool, now time.Time) bool {
	before := r.bitrate
	switch {
	case before == 0 || anew:
		r.bitrate, r.risen = aim, now
	case aim < before:
		if float64(aim) <= float64(before)*leastFall {
			r.bitrate, r.risen = aim, now
		}
	case float64(aim) < float64(before)*leastRise:
	case now.Sub(r.risen) >= riseInterval-clockSlack:
		r.bitrate, r.risen = aim, now
		if step := float64(before) * riseStep; float64(aim) > step*leastRise { // else nothing would be left for another step
			r.bitrate = int(step)
		}
	}
	return r.bitrate != before
}

// shown is what may be asked about one (codec, rung) without a lock. Encode writes it.
type shown struct{ bitrate, viewers atomic.Int64 }

// shownAt is that of a (codec, rung); nil if there can be none.
func (l *Ladder) shownAt(c Codec, rung int) *shown {
	if rung < 0 || rung >= len(l.cfg.Rungs) {
		return nil
	}
	switch c {
	case H264:
		return &l.shown[rung]
	case VP8:
		return &l.shown[len(l.cfg.Rungs)+rung]
	}
	return nil
}

// Required is what a viewer has to carry, in bit/s, to come and watch a rung as things are: a little more
// than its least bitrate if nobody does, else what those are sent who do, and no more than the rung's own, which
// they will have when they are several. For one who watches it alone see Viewers: the bitrate follows them down to Min, so
// they have to carry no more. 0 where there is no such encode. It waits for nothing.
func (l *Ladder) Required(c Codec, rung int) int {
	s := l.shownAt(c, rung)
	if s == nil {
		return 0
	}
	r := l.cfg.Rungs[rung]
	if s.viewers.Load() == 0 {
		return min(int(float64(r.Min)*entry), r.Bitrate)
	}
	return max(r.Min, min(int(s.bitrate.Load()), r.Bitrate))
}

// Viewers is how many watched a rung when the last picture was made. It waits for nothing.
func (l *Ladder) Viewers(c Codec, rung int) int {
	if s := l.shownAt(c, rung); s != nil {
		return int(s.viewers.Load())
	}
	return 0
}
