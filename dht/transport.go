package dht

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"rendezvous/dht/wire"
)

// family is an IP family; each has its own routing table and searches.
type family int

const (
	ipv4 family = iota
	ipv6
	numFamilies
)

func (f family) String() string { return [...]string{"ipv4", "ipv6"}[f] }

func (f family) wire() wire.Family { return [...]wire.Family{wire.IPv4, wire.IPv6}[f] }

func familyOf(addr netip.Addr) family {
	if addr.Is4() {
		return ipv4
	}
	return ipv6
}

// packetConn is the part of [net.UDPConn] that a node needs.
type packetConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
	LocalAddr() net.Addr
	Close() error
}

// receiveBuffer is the socket buffer asked for, in bytes: senders put the fragments of a value on the wire back to back.
const receiveBuffer = 4 << 20

// maxDatagram is the largest UDP payload.
const maxDatagram = 65507

// listenUDP binds the address of one family only.
func listenUDP(f family, address string) (packetConn, error) {
	network := [...]string{"udp4", "udp6"}[f]
	addr, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", address, err)
	}
	conn, err := net.ListenUDP(network, addr)
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", address, err)
	}
	if err := conn.SetReadBuffer(receiveBuffer); err != nil {
		conn.Close()
		return nil, fmt.Errorf("bind %s: %w", address, err)
	}
	return conn, nil
}

// packet is a datagram that was understood.
type packet struct {
	from netip.AddrPort
	msg  *wire.Message
}

// read takes datagrams off a socket until that is closed, and hands on those that are to be considered.
func (n *Node) read(conn packetConn) {
	buf := make([]byte, maxDatagram)
	limit := newRateLimit(n.cfg.Limits.RequestsPerSecond, n.cfg.Limits.RequestsPerSecondPerAddress)
	for {
		size, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Linux reports ICMP errors about earlier sends here; the request they concern runs into its timeout.
			n.metrics.readErrors.Add(1)
			continue
		}
		n.metrics.packetsIn.Add(1)
		n.metrics.bytesIn.Add(uint64(size))
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if isMartian(from) {
			n.metrics.martians.Add(1)
			continue
		}
		msg, err := wire.Decode(append([]byte(nil), buf[:size]...))
		switch {
		case err != nil:
			n.metrics.malformed.Add(1)
			continue
		case msg.Network != n.cfg.Network && msg.Kind != wire.Fragments:
			n.metrics.otherNetwork.Add(1)
			continue
		case msg.ID == n.id:
			n.metrics.martians.Add(1)
			continue
		case msg.Kind == wire.Request && !limit.allow(from.Addr(), time.Now()):
			n.metrics.rateLimited.Add(1)
			continue
		}
		select {
		case n.packets <- packet{from, msg}:
		case <-n.stopping:
			return
		}
	}
}

// isMartian reports whether nothing sensible can come from, or be sent to, an address.
func isMartian(a netip.AddrPort) bool {
	ip := a.Addr()
	switch {
	case a.Port() == 0, !ip.IsValid(), ip.Is4In6(), ip.IsMulticast(), ip.IsUnspecified():
		return true
	case ip.Is4():
		first := ip.As4()[0]
		return first == 0 || first >= 224
	default:
		return ip.IsLinkLocalUnicast()
	}
}
