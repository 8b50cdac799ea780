package sip

import (
	"net"
	"net/netip"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// localAddr is our own address as the peer can reach it: the external one for peers
// beyond the NAT, else that of the interface that leads to him.
func (d *Door) localAddr(peer netip.Addr) netip.Addr {
	local := outgoingAddr(peer)
	if !d.external.IsValid() || peer.IsLoopback() || peer.Is4() != d.external.Is4() {
		return local
	}
	if near(peer) && near(local) && !near(d.external) {
		return local
	}
	return d.external
}

// near reports whether an address does not leave the local network.
func near(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast()
}

// outgoingAddr asks the system which address packets to peer come from. Nothing is sent.
func outgoingAddr(peer netip.Addr) netip.Addr {
	if !peer.IsValid() || peer.IsUnspecified() {
		peer = netip.AddrFrom4([4]byte{192, 0, 2, 1})
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(peer, 9)))
	if err != nil {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone("")
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
