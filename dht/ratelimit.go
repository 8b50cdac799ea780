package dht

import (
	"net/netip"
	"time"

	"rendezvous/internal/sourcenet"
)

// rateLimit bounds requests per second, over all and per address. Its reader's goroutine owns it.
type rateLimit struct {
	all, perAddress int
	window          time.Time
	total           int
	counts          map[netip.Prefix]int
}

func newRateLimit(all, perAddress int) *rateLimit {
	return &rateLimit{all: all, perAddress: perAddress, counts: map[netip.Prefix]int{}}
}

// allow counts a request. Counting starts anew each second, so the map never holds more addresses than one second may
// bring requests.
func (l *rateLimit) allow(from netip.Addr, now time.Time) bool {
	if now.Sub(l.window) >= time.Second {
		l.window, l.total = now, 0
		clear(l.counts)
	}
	key := sourcenet.Of(from)
	if l.total >= l.all || l.counts[key] >= l.perAddress {
		return false
	}
	l.total++
	l.counts[key]++
	return true
}
