package congestion

import "time"

// arrivals is what has arrived lately, to tell a rate from: for how long, and how much.
type arrivals struct {
	ring *[512]arrival // a ring: more than a second of it where a rate is told from that; nil before the first
	head int
	n    int
}

type arrival struct {
	at   time.Duration
	size int
}

func (a *arrivals) add(at time.Duration, size int) {
	if a.ring == nil {
		a.ring = new([512]arrival)
	}
	if a.n == len(a.ring) {
		a.head = (a.head + 1) % len(a.ring)
		a.n--
	}
	a.ring[(a.head+a.n)%len(a.ring)] = arrival{at, size}
	a.n++
}

// since is the rate in bit/s of what has arrived after the first packet that arrived at or after from, and how long that took.
// It is 0 if that is less than two packets, or all at once.
func (a *arrivals) since(from time.Duration) (bitrate float64, span time.Duration) {
	var first, last time.Duration
	bytes, n := 0, 0
	for i := range a.n {
		p := a.ring[(a.head+i)%len(a.ring)]
		if p.at < from {
			continue
		}
		if n == 0 {
			first = p.at
		} else {
			bytes += p.size
		}
		last = max(last, p.at)
		n++
	}
	if n < 2 || last <= first {
		return 0, 0
	}
	return float64(bytes*8) / (last - first).Seconds(), last - first
}
