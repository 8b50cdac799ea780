package rtppipe

import (
	"net"
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

// nobodys tells whether no peer whose signalling comes from an address can await packets at a: it is none of a
// host, or of this machine while the peer is elsewhere.
func nobodys(a, signalling netip.Addr) bool {
	if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return true
	}
	return own(a) && !own(signalling)
}

// own tells whether an address is this machine's.
func own(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false // it cannot be told; consent is asked all the same
	}
	return slices.ContainsFunc(addrs, func(x net.Addr) bool {
		n, ok := x.(*net.IPNet)
		if !ok {
			return false
		}
		mine, ok := netip.AddrFromSlice(n.IP)
		return ok && mine.Unmap() == a.Unmap()
	})
}
