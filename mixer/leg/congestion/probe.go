package congestion

import "time"

const (
	probeTime    = 30 * time.Millisecond // how long a cluster is sent
	probePackets = 8                     // of which it has at least this many
	probeTimes   = 2                     // the target, is what a probe is sent at
	probeEvery   = 5 * time.Second
	afterNarrow  = 2500 * time.Millisecond // before the first probe after the path was too narrow
	probeAnswer  = 500 * time.Millisecond  // and two round trips: what is not answered then has failed
	probeReached = 0.87                    // of the rate that it was sent at, and the path carries that
	probeMargin  = 0.9                     // of what arrived is the target, if it is not all
	probeNews    = 1.15                    // more than it was known to carry, and that is news: so short a time does not tell exactly
	wantedMargin = 1.15                    // no more than this part of what is wanted is looked for
)

// Probe is a cluster of packets that is to be sent at once at a bit rate.
type Probe struct {
	Bitrate  int // on the wire
	Duration time.Duration
	Packet   int // bytes at most that each has on the wire, so that there are enough of them
}

// probes are the clusters, of which one is under way at most.
type probes struct {
	next    time.Duration // when one is due; never: not
	cluster int           // the number of the newest
	sending int           // the same while it is sent, else 0
	open    bool          // its answer is waited for
	bitrate float64
	ended   time.Duration // of sending
	failed  bool          // the last one found the path too narrow, and nothing has changed since

	out, in span
}

// span is from when to when how many bytes went by, without those of the first packet.
type span struct {
	first, last time.Duration
	bytes, n    int
}

func (s *span) add(at time.Duration, size int) {
	if s.n == 0 {
		s.first = at
	} else {
		s.bytes += size
	}
	s.last = max(s.last, at)
	s.n++
}

func (s *span) rate() float64 {
	if s.n < 2 || s.last <= s.first {
		return 0
	}
	return float64(s.bytes*8) / (s.last - s.first).Seconds()
}

// sent notes a packet of the cluster that is being sent.
func (p *probes) sent(size int, now time.Duration) {
	if p.sending != 0 {
		p.out.add(now, size)
	}
}

func (p *probes) arrived(a ack) {
	if p.open && a.probe == p.cluster && a.probe != 0 {
		p.in.add(a.arrival, a.size)
	}
}

// fail notes that the path is too narrow, which a probe may have brought about.
func (p *probes) fail(now time.Duration) {
	p.failed = p.sending != 0 || p.cluster != 0 && now-p.ended < probeAnswer
}

// wait is how long it is to the next probe: as least says, unless it was a probe that made the queue.
func (p *probes) wait(least time.Duration) time.Duration {
	if p.failed {
		return probeEvery
	}
	return least
}

func (p *probes) abandon() { p.open, p.sending, p.next = false, 0, never }

// Probe tells whether a cluster is to be sent now. Who gets one sends it, calls Probed, and may have sent less than was asked for.
func (c *Controller) Probe() (Probe, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	p := &c.probes
	if p.next == never || now < p.next || p.open || c.phase != steady || c.stalled || !c.heard || c.losses.trial != 0 ||
		c.target >= c.wanted || c.queue.length() > c.queue.threshold()/2 {
		return Probe{}, false
	}
	rate := min(probeTimes*c.target, wantedMargin*c.wanted, float64(c.cfg.Max))
	bytes := int(rate * probeTime.Seconds() / 8)
	p.cluster++
	p.sending, p.open, p.bitrate = p.cluster, true, rate
	p.out, p.in = span{}, span{}
	return Probe{Bitrate: int(rate), Duration: probeTime, Packet: min(max(bytes/probePackets, 100), 1240)}, true
}

// Probed says that the cluster has been sent.
func (c *Controller) Probed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.probes.sending, c.probes.ended = 0, now
	if c.probes.out.n < 3 {
		c.probes.open, c.probes.next = false, now+probeEvery
	}
}

// evaluate looks at the answer to a probe, and reports whether the target has been raised by it.
func (c *Controller) evaluate(now time.Duration) bool {
	p := &c.probes
	if !p.open || p.sending != 0 {
		return false
	}
	if p.in.n < p.out.n && now-p.ended < probeAnswer+2*c.trips.value() && !c.answered() {
		return false
	}
	p.open, p.next = false, now+probeEvery
	if p.in.n < p.out.n*7/10 || p.in.n < 3 {
		return false // lost
	}
	sent, got := p.out.rate(), p.in.rate()
	if got == 0 {
		got = sent // all arrived at once
	}
	switch {
	case got >= probeReached*sent:
		c.tell("a probe has arrived")
		c.target = max(c.target, min(sent, p.bitrate))
		if c.target > c.ceiling {
			c.ceiling = 0
		}
		p.next = now // and beyond
	case c.ceiling == 0 || got > probeNews*c.ceiling:
		c.target = max(c.target, probeMargin*got)
		c.ceiling, c.found = max(got, c.target), now
	}
	return true
}

// answered tells that all of the cluster has been told of.
func (c *Controller) answered() bool {
	p := c.history.oldest()
	return p == nil || p.at > c.probes.ended
}
