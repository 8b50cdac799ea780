package sip

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"rendezvous/internal/ratelimit"
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

// limiter limits what each source may send, by class.
type limiter struct {
	trusted []netip.Prefix
	byClass [classes]*ratelimit.Limiter[netip.Prefix]
}

func newLimiter(l Limits, trusted []netip.Prefix) *limiter {
	of := func(perSecond float64, burst int) *ratelimit.Limiter[netip.Prefix] {
		return ratelimit.New[netip.Prefix](ratelimit.Config{Rate: rate.Limit(perSecond), Burst: burst, Sources: l.Sources, Share: true})
	}
	return &limiter{trusted: trusted, byClass: [classes]*ratelimit.Limiter[netip.Prefix]{
		classInvite:  of(l.InvitePerSecond, l.InviteBurst),
		classOptions: of(l.OptionsPerSecond, l.OptionsBurst),
		classOther:   of(l.OtherPerSecond, l.OtherBurst),
	}}
}

// allow takes one token of the source, if there is one.
func (l *limiter) allow(source netip.Addr, c class, now time.Time) bool {
	return l.isTrusted(source) || l.byClass[c].AllowN(now, sourcenet.Of(source), 1)
}

// isTrusted reports whether the limits do not apply to a source.
func (l *limiter) isTrusted(source netip.Addr) bool {
	return slices.ContainsFunc(l.trusted, func(p netip.Prefix) bool { return p.Contains(source) })
}
