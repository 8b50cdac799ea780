package icetcp

import (
	"net"
	"net/netip"
)

// HostAddresses lists the addresses of this machine's interfaces that a peer
// may be able to reach: no loopback, no link-local, at most max.
func HostAddresses(max int) ([]netip.Addr, error) {
	ifs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range ifs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		ip = ip.Unmap()
		if !ok || !ip.IsGlobalUnicast() || len(out) == max {
			continue
		}
		out = append(out, ip)
	}
	return out, nil
}

// Addresses is where an Agent can be reached and what it looks like from
// outside.
type Addresses struct {
	// Host lists own addresses; Port is where the Listener listens.
	Host []netip.Addr
	Port uint16
	// Mapped lists outside addresses that lead to the Listener: configured
	// port forwards, UPnP and NAT-PMP mappings.
	Mapped []netip.AddrPort
	// Seen lists outside addresses as others saw us (STUN, the DHT); they let
	// the peer recognise connections that we open.
	Seen []netip.Addr
	// Relay is the address of an allocation on a TURN server.
	Relay netip.AddrPort
}

// Candidates lists all of them, best first, without repeats.
func (a Addresses) Candidates() []Candidate {
	var out []Candidate
	has := make(map[netip.AddrPort]bool)
	add := func(t CandidateType, tt TCPType, ap netip.AddrPort) {
		if len(out) < maxCandidates && !has[ap] {
			has[ap] = true
			out = append(out, newCandidate(len(out), t, tt, ap))
		}
	}
	for _, ip := range a.Host {
		add(Host, Passive, netip.AddrPortFrom(ip, a.Port))
		add(Host, Active, netip.AddrPortFrom(ip, discardPort))
	}
	for _, ap := range a.Mapped {
		add(ServerReflexive, Passive, ap)
		add(ServerReflexive, Active, netip.AddrPortFrom(ap.Addr(), discardPort))
	}
	for _, ip := range a.Seen {
		add(ServerReflexive, Active, netip.AddrPortFrom(ip, discardPort))
	}
	if a.Relay.IsValid() {
		add(Relayed, Passive, a.Relay)
	}
	return out
}
