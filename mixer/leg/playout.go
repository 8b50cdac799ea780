package leg

import "time"

const (
	videoClock = 90000 // of RTP timestamps of pictures (RFC 6184 section 8.2.1, RFC 7741 section 6.1), in Hz

	// Pictures that a path delays unequally by less are shown when they come: the canvas takes the newest each 33 ms.
	leastHold = 80 * time.Millisecond
	maxEven   = 250 * time.Millisecond // one round trip of 200 ms, repaired; more would cost speech more than it gives the eye
	maxHold   = 400 * time.Millisecond // for evenness and for lip sync together

	// How fast the delay grows and shrinks with each picture: in slow motion at first, and hardly seen after.
	holdUp, holdDown = 10 * time.Millisecond, 2 * time.Millisecond

	// Share of the pictures that are to be in time, and how much each makes the histogram forget: half in 230
	// pictures, 8 s.
	lateQuantile = 0.97
	lateForget   = 0.997
	lateBin      = 10 * time.Millisecond
	lateBins     = 60

	// Pictures are judged against the fastest of the last 4 s: that follows the drift of the sender's clock.
	fastBuckets = 8
	fastBucket  = 500 * time.Millisecond

	wildTransit = 2 * time.Second // a step of the timestamps, not the network's doing
)

// playout says when a picture is to be shown: at once on an even path. Where many come late, because what was lost had to
// be sent again, all are held so long that few are, up to a bound. The sound may ask for more (lipSync).
// It counts time from the leg's making. Not safe for concurrent use.
type playout struct {
	begun  bool
	rawTS  uint32
	ts     time.Duration // of the newest picture, on the sender's clock, counted on from the first
	mins   [fastBuckets]time.Duration
	epoch  time.Duration // number of the newest bucket
	late   [lateBins]float32
	seen   int
	even   time.Duration // hold that makes the stream even, as it is now
	sync   time.Duration // hold that the sound needs, as it is now
	wanted time.Duration // what sync moves to
}

// reset forgets the stream, for a new one of the same caller's.
func (p *playout) reset() { *p = playout{sync: p.sync, wanted: p.wanted} }

// place takes a picture that is whole now, and returns when it is to be shown, which may be past.
func (p *playout) place(timestamp uint32, now time.Duration) (due time.Duration) {
	step := time.Duration(int32(timestamp-p.rawTS)) * time.Second / videoClock
	p.rawTS = timestamp
	if wild := now - p.ts - step - p.fastest(); !p.begun || wild > wildTransit || wild < -wildTransit {
		even, sync, wanted := p.even, p.sync, p.wanted
		*p = playout{begun: true, rawTS: timestamp, even: even, sync: sync, wanted: wanted}
		step = 0
		p.epoch = now / fastBucket
		for i := range p.mins {
			p.mins[i] = now
		}
	}
	p.ts += step
	p.learn(now-p.ts, now)
	p.move()
	return p.ts + p.fastest() + p.even + p.sync
}

// fastest is the least transit time seen lately: from a picture's place on the sender's clock to ours.
func (p *playout) fastest() time.Duration {
	m := p.mins[0]
	for _, v := range p.mins[1:] {
		m = min(m, v)
	}
	return m
}

func bucket(epoch time.Duration) int { return int((epoch%fastBuckets + fastBuckets) % fastBuckets) }

// learn notes how much later than the fastest a picture has come.
func (p *playout) learn(transit, now time.Duration) {
	before := p.fastest()
	if epoch := now / fastBucket; epoch-p.epoch >= fastBuckets {
		for i := range p.mins {
			p.mins[i] = transit
		}
		p.epoch = epoch
	} else {
		for p.epoch < epoch {
			p.epoch++
			p.mins[bucket(p.epoch)] = transit
		}
		i := bucket(p.epoch)
		p.mins[i] = min(p.mins[i], transit)
	}
	// A path that has become longer for all is no longer uneven: what was late by so much is in time now.
	if rise := p.fastest() - before; rise >= 3*lateBin && p.seen > 0 {
		by := min(int(rise/lateBin), lateBins-1)
		for i := 1; i <= by; i++ {
			p.late[0] += p.late[i]
		}
		copy(p.late[1:], p.late[by+1:])
		clear(p.late[lateBins-by:])
		p.even = max(0, p.even-rise)
	}
	p.seen++
	keep := float32(min(lateForget, 1-1/float64(p.seen)))
	for i := range p.late {
		p.late[i] *= keep
	}
	p.late[min(int((transit-p.fastest())/lateBin), lateBins-1)] += 1 - keep
}

// lateness is what so few pictures exceed that the stream looks even; 0 on a path that needs no hold.
func (p *playout) lateness() time.Duration {
	var sum float32
	for i, v := range p.late {
		if sum += v; sum >= lateQuantile {
			late := time.Duration(i+1) * lateBin
			if late < leastHold {
				return 0
			}
			return min(late, maxEven)
		}
	}
	return maxEven
}

// move brings the delays nearer to what they should be.
func (p *playout) move() {
	step := func(v *time.Duration, to time.Duration) {
		*v += min(max(to-*v, -holdDown), holdUp)
	}
	step(&p.even, p.lateness())
	step(&p.sync, min(p.wanted, maxHold-p.even))
}
