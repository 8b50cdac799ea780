package web

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"rendezvous/internal/ratelimit"
	"rendezvous/internal/sourcenet"
)

// attempts slows down those who guess PINs and tokens: an address that has used up its
// wrong guesses gets one more each refill. Right ones cost nothing.
type attempts struct {
	now   func() time.Time
	wrong *ratelimit.Limiter[netip.Prefix]
}

// maxGuessers bounds the addresses remembered; past it those that guessed longest ago go.
const maxGuessers = 10000

func newAttempts(most int, refill time.Duration, now func() time.Time) *attempts {
	return &attempts{now, ratelimit.New[netip.Prefix](ratelimit.Config{Rate: rate.Every(refill), Burst: most, Sources: maxGuessers})}
}

// allow reports whether an address may try.
func (a *attempts) allow(ip netip.Addr) bool { return a.wrong.Has(a.now(), sourcenet.Of(ip), 1) }

// failed notes a wrong guess.
func (a *attempts) failed(ip netip.Addr) { a.wrong.Charge(a.now(), sourcenet.Of(ip), 1) }
