package congestion

import "time"

const (
	delaysKept   = 16
	together     = 20 * time.Millisecond
	echoSpan     = 110 * time.Millisecond // the least delay in it is what queues
	seldomReport = 700 * time.Millisecond // reports that come less often are taken one by one
	seldomNoise  = 60 * time.Millisecond  // more is nothing where that few tell of it
)

// echo is one round trip that was measured.
type echo struct {
	sent, trip time.Duration
	total      int64 // bytes that had left when it was sent
}

// delays are round trips, one by one, and what of them is a queue: what is above the least of late.
type delays struct {
	base, before time.Duration // the least of this half of the time, and of the one before
	since        time.Duration
	ring         [delaysKept]echo // the newest last
	n            int
	every        time.Duration // between two of them, smoothed; 0: not known
	at           time.Duration // of the newest, when it came

	noise     time.Duration // what they differ by where nothing is congested
	calm      time.Duration // the same, a second ago
	most      time.Duration // of this second
	least     time.Duration
	worstFrom time.Duration
	standing  time.Duration // since when the queue is over its threshold; never: it is not
}

func (d *delays) add(e echo, now time.Duration) {
	if d.n == 0 {
		d.base, d.before, d.since, d.standing, d.worstFrom = e.trip, e.trip, now, never, now
		d.most, d.least = e.trip, e.trip
	} else if gap := now - d.at; gap < together { // reports on two streams in one breath
	} else if d.every == 0 {
		d.every = gap
	} else {
		d.every += (min(gap, 10*time.Second) - d.every) / 8
	}
	d.at = now
	// The way's own delay is the least of so many that some have met no queue.
	if now-d.since > max(baseTime, 12*d.every)/2 {
		d.before, d.base, d.since = d.base, e.trip, now
	}
	d.base = min(d.base, e.trip)
	copy(d.ring[:], d.ring[1:])
	d.ring[delaysKept-1] = e
	d.n = min(d.n+1, delaysKept)
	length := d.length()
	switch {
	case length <= d.threshold():
		d.standing = never
	case d.standing == never:
		d.standing = now
	}
	if d.seldom() && d.n > 1 {
		differ := e.trip - d.ring[delaysKept-2].trip
		d.noise += (min(max(differ, -differ), mostNoise) - d.noise) / 8
	} else if now-d.worstFrom >= time.Second {
		d.calm = d.noise
		d.noise += (min(d.most-d.least, mostNoise) - d.noise) / 4
		d.most, d.least, d.worstFrom = e.trip, e.trip, now
	}
	d.most, d.least = max(d.most, e.trip), min(d.least, e.trip)
}

func (d *delays) floor() time.Duration { return min(d.base, d.before) }

// seldom tells that each has to be believed by itself.
func (d *delays) seldom() bool { return d.every == 0 || d.every > seldomReport }

func (d *delays) newest() echo { return d.ring[delaysKept-1] }

// last are those of the last so long, one at least.
func (d *delays) last(span time.Duration) []echo {
	if d.n == 0 {
		return nil
	}
	newest := d.ring[delaysKept-1].sent
	i := delaysKept - 1
	for i > delaysKept-d.n && newest-d.ring[i-1].sent <= span {
		i--
	}
	return d.ring[i:]
}

// length is how long what was sent with the newest has waited, by the least of the last ones.
func (d *delays) length() time.Duration {
	if d.n == 0 {
		return 0
	}
	v := d.last(echoSpan)
	if len(v) < 2 && !d.seldom() && d.n >= 2 {
		v = d.ring[delaysKept-2:]
	}
	least := never
	for _, e := range v {
		least = min(least, e.trip)
	}
	return least - d.floor()
}

func (d *delays) threshold() time.Duration {
	if d.seldom() {
		return leastThreshold + seldomNoise + d.noise
	}
	return leastThreshold + d.noise
}

// full is the queue's length, if the path is too narrow: over the threshold, and not about to run dry by itself.
func (d *delays) full() (time.Duration, bool) {
	if d.n < 2 {
		return 0, false
	}
	length := d.length()
	newest, before := d.ring[delaysKept-1].trip, d.ring[delaysKept-2].trip
	return length, length > d.threshold() && (d.seldom() || newest > before-5*time.Millisecond)
}

// stands tells that the queue has been over its threshold for a while.
func (d *delays) stands(now time.Duration) bool {
	return d.standing != never && d.n > 0 && now-d.standing >= standingTime
}

// carries is what the path has carried while its queue was not empty, in bit/s: of what left between two of the last questions, what
// came out meanwhile. Where the queue had no more room it seems to be more, so the least counts. Questions of before a time are left out;
// then pictures are held, and little tells less exactly. 0: it is not known.
func (d *delays) carries(from time.Duration) (rate float64) {
	least, most := 80*time.Millisecond, max(700*time.Millisecond, 2*d.every)
	all := d.ring[delaysKept-d.n:]
	if from > 0 {
		least *= 3
		for len(all) > 0 && all[0].sent < from {
			all = all[1:]
		}
	}
	if len(all) == 0 {
		return 0
	}
	busy := len(all)
	for busy > 0 && all[busy-1].trip-d.floor() > lowest+d.noise/2 {
		busy--
	}
	busy = max(0, busy-1) // one that met none: until its answer the queue has been filled
	newest := all[len(all)-1].sent
	for i := busy; i < len(all); i++ {
		if newest-all[i].sent > most {
			continue
		}
		for j := i + 1; j < len(all); j++ {
			span := all[j].sent - all[i].sent
			if span < least {
				continue
			}
			grown := all[j].trip - all[i].trip
			if grown > 0 {
				grown = max(0, grown-d.noise)
			}
			took := span + grown
			bytes := all[j].total - all[i].total
			if took < 60*time.Millisecond || from == 0 && bytes < 4*1200 && took < 500*time.Millisecond {
				continue // too little to say
			}
			if r := float64(8*bytes) / took.Seconds(); rate == 0 || r < rate {
				rate = r
			}
		}
	}
	return rate
}

// quiet forgets the noise of the last seconds: it was congestion.
func (d *delays) quiet() {
	d.most, d.least, d.noise = d.newest().trip, d.newest().trip, min(d.noise, d.calm)
}

// rebase takes the present delay for the way's own.
func (d *delays) rebase(now time.Duration) {
	d.base = d.floor() + d.length()
	d.before, d.since, d.standing = d.base, now, never
	d.quiet()
}
