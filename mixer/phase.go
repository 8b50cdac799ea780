package mixer

import "time"

const (
	phaseBins = 32
	phaseBin  = pictureInterval / phaseBins // 1.04 ms

	// Pictures count half after 23 passes, and nothing is done for fewer than five or so.
	phaseForget = 0.97
	phaseLeast  = 5

	phaseMargin = 2                      // bins from when a picture is there until the pass that is made for it: others are late by as much
	phaseGain   = 0.5                    // bins that pictures wait less on average, for which the clock is turned
	phaseStep   = 250 * time.Microsecond // by which it is turned in each pass at most: 0.75 % of its rate
)

// phase turns the picture clock to where in its interval the pictures of the cameras have lately become ready, so that they wait
// as short as can be: beside a lone camera of 30 pictures a second a few milliseconds, where it would be half of an interval. Where
// cameras are at odds, or have another rate, so that no place is better than others, the clock stays as it is.
type phase struct {
	epoch   time.Time // any
	weights [phaseBins]float64
}

// bin is the part of the interval that a time is in.
func (p *phase) bin(at time.Time) int {
	into := at.Sub(p.epoch) % pictureInterval
	if into < 0 {
		into += pictureInterval
	}
	return min(int(into/phaseBin), phaseBins-1)
}

// ready notes when a picture became ready.
func (p *phase) ready(at time.Time) { p.weights[p.bin(at)]++ }

// turn returns by how much the interval after the pass that is due at a time is to be longer or, negative, shorter, and forgets a bit of
// what was noted. It is called once in each pass.
func (p *phase) turn(due time.Time) time.Duration {
	sum := 0.0
	for i := range p.weights {
		p.weights[i] *= phaseForget
		sum += p.weights[i]
	}
	if sum < phaseLeast {
		return 0
	}
	now := p.bin(due)
	best, least := now, p.wait(now)
	before := least
	for b := range phaseBins {
		if w := p.wait(b); w < least {
			best, least = b, w
		}
	}
	if before-least < phaseGain*sum {
		return 0
	}
	way := time.Duration((best-now+phaseBins)%phaseBins) * phaseBin
	if way > pictureInterval/2 {
		way -= pictureInterval
	}
	return min(max(way, -phaseStep), phaseStep)
}

// wait is how long the pictures noted wait for a pass in that bin, in bins, all together. One that becomes ready within the margin
// before it is taken for too late.
func (p *phase) wait(pass int) (sum float64) {
	for b, w := range p.weights {
		sum += w * float64((pass-b-phaseMargin+2*phaseBins)%phaseBins)
	}
	return sum
}
