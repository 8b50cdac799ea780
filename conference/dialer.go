package conference

import "context"

// Dialer calls somebody into a room; doors that can do it are registered with Host.AddDialer.
type Dialer interface {
	// Takes says whether an address, as people write it, is one that the door can call.
	Takes(address string) Claim
	// Dial calls address and, when it is answered, joins the callee to room. It returns when the
	// callee is in, or with the reason why not, in words for people.
	Dial(ctx context.Context, room *Room, address string) error
}

// Claim is how sure a door is that an address is of its kind.
type Claim int

// The claims. Of several doors that claim an address the surest calls it, and of equals the first that was registered.
const (
	NotMine Claim = iota
	Perhaps       // it may be: nothing about it speaks for another
	Mine          // its scheme or its form says so
)

// AddDialer registers a door that can call.
func (h *Host) AddDialer(d Dialer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dialers = append(h.dialers, d)
}

// dialer finds who calls an address, nil if nobody can.
func (h *Host) dialer(address string) Dialer {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found Dialer
	surest := NotMine
	for _, d := range h.dialers {
		if c := d.Takes(address); c > surest {
			found, surest = d, c
		}
	}
	return found
}
