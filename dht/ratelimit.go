package dht

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"rendezvous/internal/ratelimit"
	"rendezvous/internal/sourcenet"
)

// rateLimit bounds requests per second, over all and per address; as many may come at once.
type rateLimit struct {
	all        *rate.Limiter
	perAddress *ratelimit.Limiter[netip.Prefix]
}

func newRateLimit(all, perAddress int) *rateLimit {
	return &rateLimit{
		rate.NewLimiter(rate.Limit(all), all),
		ratelimit.New[netip.Prefix](ratelimit.Config{Rate: rate.Limit(perAddress), Burst: perAddress, Sources: all, Share: true}),
	}
}

// allow counts a request. What an address has too many of counts for nothing in all.
func (l *rateLimit) allow(from netip.Addr, now time.Time) bool {
	return l.all.TokensAt(now) >= 1 && l.perAddress.AllowN(now, sourcenet.Of(from), 1) && l.all.AllowN(now, 1)
}
