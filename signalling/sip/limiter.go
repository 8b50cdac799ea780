package sip

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"rendezvous/internal/sourcenet"
)

// class is what a limit applies to.
type class uint8

const (
	classInvite class = iota
	classOptions
	classOther
	classes
)

// limiter is a token bucket per source and class, for a bounded number of sources.
type limiter struct {
	rate, burst [classes]float64
	sources     int
	trusted     []netip.Prefix

	mu      sync.Mutex // guards what follows
	buckets map[netip.Prefix]*allowance
	shared  allowance // of all sources that do not fit
}

// allowance is what one source has left.
type allowance struct {
	tokens [classes]float64
	last   time.Time
}

func newLimiter(l Limits, trusted []netip.Prefix) *limiter {
	return &limiter{
		rate:    [classes]float64{l.InvitePerSecond, l.OptionsPerSecond, l.OtherPerSecond},
		burst:   [classes]float64{l.InviteBurst, l.OptionsBurst, l.OtherBurst},
		sources: l.Sources, trusted: trusted,
		buckets: make(map[netip.Prefix]*allowance),
	}
}

// allow takes one token of the source, if there is one.
func (l *limiter) allow(source netip.Addr, c class, now time.Time) bool {
	if l.isTrusted(source) {
		return true
	}
	key := sourcenet.Of(source)
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[key]
	if !ok {
		if len(l.buckets) >= l.sources {
			l.forget(now)
		}
		if len(l.buckets) < l.sources {
			b = &allowance{tokens: l.burst, last: now}
			l.buckets[key] = b
		} else {
			b = &l.shared
		}
	}
	elapsed := now.Sub(b.last).Seconds()
	b.last = now
	for i := range b.tokens {
		b.tokens[i] = min(l.burst[i], b.tokens[i]+elapsed*l.rate[i])
	}
	if b.tokens[c] < 1 {
		return false
	}
	b.tokens[c]--
	return true
}

// isTrusted reports whether the limits do not apply to a source.
func (l *limiter) isTrusted(source netip.Addr) bool {
	return slices.ContainsFunc(l.trusted, func(p netip.Prefix) bool { return p.Contains(source) })
}

// forget drops sources whose buckets have filled up again: they look like new ones.
// l.mu is held. At most a part of the map is looked at each time.
func (l *limiter) forget(now time.Time) {
	looked := 0
	for key, b := range l.buckets {
		full := true
		for i := range b.tokens {
			full = full && b.tokens[i]+now.Sub(b.last).Seconds()*l.rate[i] >= l.burst[i]
		}
		if full {
			delete(l.buckets, key)
		}
		if looked++; looked == 64 {
			return
		}
	}
}
