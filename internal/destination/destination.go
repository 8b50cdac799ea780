// Package destination says to which addresses a caller may have packets sent. Session descriptions and ICE
// candidates name addresses, and whoever writes them may name anybody's: a broadcast address, or this machine, whose
// own services would take what comes for local.
package destination

import (
	"net"
	"net/netip"
	"slices"
)

// Allowed tells whether a peer that is seen at an address may have packets sent to another one: a host's, and this
// machine's only if the peer is on it. An invalid peer is elsewhere.
func Allowed(to, peer netip.Addr) bool {
	to = to.Unmap()
	if !to.IsValid() || to.IsUnspecified() || to.IsMulticast() || to == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return false
	}
	return !own(to) || own(peer.Unmap())
}

// own tells whether an address is this machine's.
func own(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false // it cannot be told
	}
	return slices.ContainsFunc(addrs, func(x net.Addr) bool {
		n, ok := x.(*net.IPNet)
		if !ok {
			return false
		}
		mine, ok := netip.AddrFromSlice(n.IP)
		return ok && mine.Unmap() == a.WithZone("")
	})
}
