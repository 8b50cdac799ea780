// Package anyaddr listens on all addresses of the machine.
//
// Package net does too, for an empty host or "::", but on IPv4 alone where a host of IPv6 has a loopback without
// 127.0.0.1: it tries with that address, once, whether a socket can serve both, and believes that none can.
package anyaddr

import (
	"context"
	"net"
	"net/netip"
)

// Addr stands for all addresses, as that of a net.TCPAddr or net.UDPAddr: it is ::, which serves IPv4 too, or 0.0.0.0
// on a machine without IPv6.
func Addr() netip.Addr {
	conn, err := net.ListenPacket("udp6", "[::]:0")
	if err != nil {
		return netip.IPv4Unspecified()
	}
	conn.Close()
	return netip.IPv6Unspecified()
}

// Listen listens for TCP on an address "host:port", whose host may be empty. It fails as net.ListenConfig does.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	all, err := everywhere("tcp", address)
	if err != nil || !all.IsValid() {
		var lc net.ListenConfig
		return lc.Listen(ctx, "tcp", address)
	}
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(all))
	if err != nil {
		return nil, err
	}
	return l, nil
}

// ListenPacket does for UDP what Listen does for TCP, with the same errors.
func ListenPacket(ctx context.Context, address string) (net.PacketConn, error) {
	all, err := everywhere("udp", address)
	if err != nil || !all.IsValid() {
		var lc net.ListenConfig
		return lc.ListenPacket(ctx, "udp", address)
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(all))
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// everywhere is what to listen on where the host stands for all addresses; not valid for another.
func everywhere(network, address string) (netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil || host != "" && host != "::" {
		return netip.AddrPort{}, err
	}
	port, err := net.LookupPort(network, service)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(Addr(), uint16(port)), nil
}
