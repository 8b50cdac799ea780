package jitter

const (
	second = 48000
	ms     = second / 1000

	// Arrivals are judged against the fastest packet of the last 4 s: that follows the drift
	// of the sender's clock (0.8 ms in 4 s at 200 ppm) and a change of route.
	baseBuckets = 8
	baseBucket  = second / 2

	binWidth = 5 * ms
	bins     = 100

	// Share of the packets that are to be in time, and how much each packet makes the
	// histogram forget: half in 350 packets, 7 s.
	quantile = 0.97
	forget   = 0.998

	// longerPath is the rise of the base at once that is no drift of clocks.
	longerPath = 30 * ms

	// A packet that comes behind a later one (sent again, repeated in another, overtaken) is waited for if that
	// pays: worth is the delay that each percent of the packets is worth, repairForget as forget (half in 170
	// packets, 3.5 s), mostRepair how much longer than for the jitter it is waited at most. Longer round trips leave nothing to be had.
	worth        = 20 * ms
	repairForget = 0.996
	mostRepair   = 120 * ms

	// startDelay is what is assumed of the network until packets have told.
	startDelay = 20 * ms
)

// delays learns how much later than the fastest packets arrive.
type delays struct {
	mins  [baseBuckets]int64 // least transit time in each bucket of arrival time
	epoch int64              // number of the newest bucket
	any   bool

	histogram [bins]float32 // of what came in order; sums up to 1
	repairs   [bins]float32 // of what came behind a later one; sums up to their share of all
	seen      int
}

// base is the least transit time (arrival - timestamp) seen lately.
func (d *delays) base() int64 {
	m := d.mins[0]
	for _, v := range d.mins[1:] {
		m = min(m, v)
	}
	return m
}

// add takes the arrival of a packet of timestamp ts, both in samples, that came in order.
func (d *delays) add(arrival, ts int64) {
	for i := range d.repairs {
		d.repairs[i] *= repairForget
	}
	transit, epoch := arrival-ts, arrival/baseBucket
	before := d.base()
	switch {
	case !d.any || epoch-d.epoch >= baseBuckets:
		for i := range d.mins {
			d.mins[i] = transit
		}
		d.any, d.epoch = true, epoch
	default:
		for d.epoch < epoch {
			d.epoch++
			d.mins[d.epoch%baseBuckets] = transit
		}
		i := ((epoch % baseBuckets) + baseBuckets) % baseBuckets
		d.mins[i] = min(d.mins[i], transit)
	}
	if d.seen > 0 {
		d.rise(d.base() - before)
	}
	if d.seen == 0 {
		d.histogram = [bins]float32{}
		d.histogram[startDelay/binWidth] = 1
	}
	d.seen++
	keep := min(forget, 1-1/float32(d.seen+1))
	for i := range d.histogram {
		d.histogram[i] *= keep
	}
	d.histogram[d.bin(transit)] += 1 - keep
}

// repair takes the arrival of a packet that came behind a later one.
func (d *delays) repair(arrival, ts int64) {
	if d.seen > 0 {
		d.repairs[d.bin(arrival-ts)] += 1 - repairForget
	}
}

func (d *delays) bin(transit int64) int { return min(max(0, int((transit-d.base())/binWidth)), bins-1) }

// repairWait is the delay at which delay and packets that come too late are the least trouble together; wait is
// what the jitter asks for.
func (d *delays) repairWait(wait int) int {
	bins := d.repairs[:min(bins, (wait+mostRepair)/binWidth)]
	var late float32
	for _, v := range bins {
		late += v
	}
	best, least := 0, late*100*worth
	for i, v := range bins {
		late -= v
		wait := (i + 1) * binWidth
		if trouble := float32(wait) + late*100*worth; v > 0 && trouble < least {
			best, least = wait, trouble
		}
	}
	return best
}

// rise follows a path that has become longer for all packets, by more than clocks drift: those that were late by so much
// would be in time now, and are remembered so. Without it the wait stays too long for as long as the histogram remembers.
func (d *delays) rise(by int64) {
	if by < longerPath {
		return
	}
	n := min(int(by/binWidth), bins-1)
	for i := 1; i <= n; i++ {
		d.histogram[0] += d.histogram[i]
	}
	copy(d.histogram[1:], d.histogram[n+1:])
	clear(d.histogram[bins-n:])
}

// wait is the delay that lets the wanted share of packets be in time, in samples.
func (d *delays) wait() int {
	if d.seen == 0 {
		return startDelay
	}
	var sum float32
	for i, v := range d.histogram {
		if sum += v; sum >= quantile {
			return (i + 1) * binWidth
		}
	}
	return bins * binWidth
}
