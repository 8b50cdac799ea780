package rtppipe

import (
	"net/netip"
	"slices"
	"sync"
)

// Consent remembers from which addresses packets of one call came. Pictures are sent
// nowhere else, unless the signalling comes from there: a caller could name a
// victim's address in his description, and turn this host into a flood.
type Consent struct {
	mu    sync.Mutex // guards heard
	heard []netip.Addr
}

// maxHeard bounds the addresses remembered; a call has a few.
const maxHeard = 16

func (c *Consent) give(a netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.heard, a) && len(c.heard) < maxHeard {
		c.heard = append(c.heard, a)
	}
}

func (c *Consent) given(a netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.heard, a)
}
