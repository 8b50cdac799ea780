// Package sourcenet says whom the sender of a packet is counted with, where strangers are counted: limits that hold for one address
// would be none for whoever has 2^64 of them.
package sourcenet

import "net/netip"

// Of returns the network that one customer of a provider has: of IPv4 the address itself, of IPv6 its /64, the least that a customer
// is given (RFC 6177 section 2). An IPv4 address that is mapped into IPv6 is one of IPv4; zones count for nothing. The zero Addr, an
// address that is not known, has the zero Prefix.
func Of(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap()
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.Prefix(bits) // fails for the zero Addr alone
	return p
}
