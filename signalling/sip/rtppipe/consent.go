package rtppipe

import (
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/time/rate"
)

// Consent says where the packets of one call may be sent. A caller could name a victim's address in their
// description and turn this host into a flood; so that address must have shown that it belongs to the call:
// packets of the call came from it, or signalling that proves that it is there (Give). To another go no pictures, and
// no more than 100 packets of sound and reports in the whole call: 2 s, for a caller who waits to be spoken to.
type Consent struct {
	// Unasked bounds the packets to those who have not given consent of all calls together; may be nil.
	Unasked *rate.Limiter

	mu      sync.Mutex // guards what follows
	given   []netip.Addr
	unasked int // packets sent to who had not given consent
}

const (
	maxGiven   = 16 // addresses remembered; a call has a few
	maxUnasked = 100
)

// Give notes that an address is the peer's: signalling came from it that could only be sent by who received ours
// there.
func (c *Consent) Give(a netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.given, a) && len(c.given) < maxGiven {
		c.given = append(c.given, a)
	}
}

// ask reports whether a packet may be sent to an address, and whether all others may too.
func (c *Consent) ask(a netip.Addr, picture bool) (this, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.given, a) {
		return true, true
	}
	if picture || c.unasked >= maxUnasked || c.Unasked != nil && !c.Unasked.Allow() {
		return false, false
	}
	c.unasked++
	return true, false
}
