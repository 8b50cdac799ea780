package stunguard

import (
	"fmt"
	"net"

	"github.com/pion/transport/v2"
	"github.com/pion/transport/v2/stdnet"
)

// Net is the system's network for pion/ice and pion/webrtc. Its UDP sockets drop STUN that is not well-formed.
// Its TCP connections are not looked at: pion makes them only to TURN servers, which the operator has chosen.
type Net struct {
	*stdnet.Net
	guard *Guard
}

// Guard keeps from pion what it is not safe with. The zero value is ready.
type Guard struct {
	// OnDrop is called for each message that is dropped, by the goroutine that reads; may be nil.
	OnDrop func()
}

func (g *Guard) pass(b []byte) bool {
	if WellFormed(b) {
		return true
	}
	if g.OnDrop != nil {
		g.OnDrop()
	}
	return false
}

// Net returns the system's network behind the guard. It knows the interfaces of this moment. It fails only if
// the system does not tell them.
func (g *Guard) Net() (*Net, error) {
	n, err := stdnet.NewNet()
	if err != nil {
		return nil, fmt.Errorf("interfaces of the machine: %w", err)
	}
	return &Net{Net: n, guard: g}, nil
}

// ListenPacket is net.ListenPacket, with the guard in front of what is read. Errors are the system's.
func (n *Net) ListenPacket(network, address string) (net.PacketConn, error) {
	c, err := n.Net.ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	return n.guard.packetConn(c), nil
}

// ListenUDP is net.ListenUDP, with the guard in front of what is read. Errors are the system's.
func (n *Net) ListenUDP(network string, local *net.UDPAddr) (transport.UDPConn, error) {
	c, err := n.Net.ListenUDP(network, local)
	if err != nil {
		return nil, err
	}
	return &udpConn{UDPConn: c, guard: n.guard}, nil
}

// DialUDP is net.DialUDP, with the guard in front of what is read. Errors are the system's.
func (n *Net) DialUDP(network string, local, remote *net.UDPAddr) (transport.UDPConn, error) {
	c, err := n.Net.DialUDP(network, local, remote)
	if err != nil {
		return nil, err
	}
	return &udpConn{UDPConn: c, guard: n.guard}, nil
}

// packetConn returns c behind the guard.
func (g *Guard) packetConn(c net.PacketConn) net.PacketConn { return &packetConn{c, g} }

type packetConn struct {
	net.PacketConn
	guard *Guard
}

func (c *packetConn) ReadFrom(p []byte) (n int, from net.Addr, err error) {
	for {
		if n, from, err = c.PacketConn.ReadFrom(p); err != nil || c.guard.pass(p[:n]) {
			return n, from, err
		}
	}
}

type udpConn struct {
	transport.UDPConn
	guard *Guard
}

func (c *udpConn) Read(p []byte) (n int, err error) {
	for {
		if n, err = c.UDPConn.Read(p); err != nil || c.guard.pass(p[:n]) {
			return n, err
		}
	}
}

func (c *udpConn) ReadFrom(p []byte) (n int, from net.Addr, err error) {
	for {
		if n, from, err = c.UDPConn.ReadFrom(p); err != nil || c.guard.pass(p[:n]) {
			return n, from, err
		}
	}
}

func (c *udpConn) ReadFromUDP(p []byte) (n int, from *net.UDPAddr, err error) {
	for {
		if n, from, err = c.UDPConn.ReadFromUDP(p); err != nil || c.guard.pass(p[:n]) {
			return n, from, err
		}
	}
}

func (c *udpConn) ReadMsgUDP(p, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	for {
		if n, oobn, flags, from, err = c.UDPConn.ReadMsgUDP(p, oob); err != nil || c.guard.pass(p[:n]) {
			return n, oobn, flags, from, err
		}
	}
}
