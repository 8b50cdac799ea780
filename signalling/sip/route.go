package sip

import (
	"net"
	"net/netip"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// localAddr is our own address as the peer can reach it: the external one for peers
// beyond the NAT, else that of the interface that leads to it.
func (d *Door) localAddr(peer netip.Addr) netip.Addr {
	local, external := outgoingAddr(peer), d.external.Load().toward(peer)
	switch {
	case !external.IsValid(), peer.IsLoopback(), near(peer) && near(local) && !near(external):
		return local
	}
	return external
}

// near reports whether an address does not leave the local network.
func near(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast()
}

// anybody are addresses of nobody (RFC 5737, RFC 3849) on the internet, and then of this machine: the way to them is
// asked for where there is none to a certain peer.
var anybody = [...]netip.Addr{
	netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback(),
}

// outgoingAddr is the address that packets to a peer come from or, if it is not valid or there is no way to it, those
// to anybody.
func outgoingAddr(peer netip.Addr) netip.Addr {
	for _, to := range append([]netip.Addr{peer}, anybody[:]...) {
		if !to.IsValid() || to.IsUnspecified() {
			continue
		}
		if a, ok := source(to); ok {
			return a
		}
	}
	return netip.IPv6Loopback() // no network at all
}

// source asks the system which address packets to another come from. Nothing is sent.
func source(to netip.Addr) (netip.Addr, bool) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return netip.Addr{}, false
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone(""), true
}

// contact is the address under which this host is reached in a dialog with the peer.
func (d *Door) contact(user, transport string, peer netip.Addr) *sip.ContactHeader {
	h := &sip.ContactHeader{Address: sip.Uri{
		Scheme: "sip", User: user, Host: uriHost(d.localAddr(peer)), Port: int(d.Addr(transport).Port()),
	}}
	if transport != "UDP" {
		h.Address.UriParams = sip.NewParams()
		h.Address.UriParams.Add("transport", strings.ToLower(transport))
	}
	return h
}

func uriHost(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// via makes the Via header of a request of ours. rport makes answers come back
// through NAT (RFC 3581).
func (d *Door) via(transport string, peer netip.Addr) *sip.ViaHeader {
	port := int(d.Addr(transport).Port())
	v := &sip.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: transport,
		Host: uriHost(d.localAddr(peer)), Port: port,
	}
	if port == 0 { // we do not listen there: sipgo fills in the connection's
		v.Host = ""
	}
	v.Params.Add("rport", "")
	v.Params.Add("branch", sip.GenerateBranch())
	return v
}

// addressed says that a request is to leave through our own UDP socket, so that
// what comes back finds us.
func (d *Door) addressed(req *sip.Request) {
	if req.Transport() == "UDP" && d.udp != nil {
		a := d.Addr("UDP")
		req.Laddr = sip.Addr{IP: net.IP(a.Addr().AsSlice()), Port: int(a.Port())}
	}
}
