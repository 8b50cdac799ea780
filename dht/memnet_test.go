package dht

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"

	"rendezvous/dht/identity/identitytest"
)

var accounts = identitytest.Accounts(1)

// memNet is a network in memory, for tests whose clock is not the real one. The datagrams it carries are real.
type memNet struct {
	mu    sync.Mutex // guards the rest
	conns map[netip.AddrPort]*memConn
	loss  float64 // part of the datagrams that get lost
	sent  int
	next  byte
}

type memConn struct {
	net    *memNet
	addr   netip.AddrPort
	inbox  chan memDatagram
	sent   int // net.mu guards it
	closed chan struct{}
	once   sync.Once
}

type memDatagram struct {
	from netip.AddrPort
	data []byte
}

func newMemNet() *memNet { return &memNet{conns: map[netip.AddrPort]*memConn{}} }

// connect adds a host with an address of its own.
func (m *memNet) connect() *memConn {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next++
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, m.next}), 4222)
	c := &memConn{net: m, addr: addr, inbox: make(chan memDatagram, 4096), closed: make(chan struct{})}
	m.conns[addr] = c
	return c
}

// move gives a host another address.
func (m *memNet) move(c *memConn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.conns, c.addr)
	m.next++
	c.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, m.next}), 4222)
	m.conns[c.addr] = c
}

func (m *memNet) datagrams() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sent
}

// sentBy is how many datagrams one host has sent.
func (m *memNet) sentBy(c *memConn) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return c.sent
}

func (c *memConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	select {
	case d := <-c.inbox:
		return copy(b, d.data), d.from, nil
	case <-c.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (c *memConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.net.sent++
	c.sent++
	if target := c.net.conns[to]; target != nil && rand.Float64() >= c.net.loss {
		select {
		case target.inbox <- memDatagram{c.addr, append([]byte(nil), b...)}:
		default: // like a socket buffer that is full
		}
	}
	return len(b), nil
}

func (c *memConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.addr) }

func (c *memConn) Close() error {
	c.once.Do(func() {
		c.net.mu.Lock()
		delete(c.net.conns, c.addr)
		c.net.mu.Unlock()
		close(c.closed)
	})
	return nil
}

// startMem runs a node on the network in memory.
func startMem(t *testing.T, m *memNet, cfg Config) *Node {
	t.Helper()
	conn := m.connect()
	cfg.IPv4 = conn.addr.String()
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.listen = func(family, string) (packetConn, error) { return conn, nil }
	if err := n.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return n
}

// startMemNetwork runs count nodes that have joined.
func startMemNetwork(t *testing.T, m *memNet, count int, cfg Config) []*Node {
	t.Helper()
	var nodes []*Node
	for range count {
		if len(nodes) > 0 {
			cfg.Bootstrap = []string{nodes[0].testAddr()}
		}
		nodes = append(nodes, startMem(t, m, cfg))
	}
	for _, n := range nodes {
		if err := n.WaitConnected(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	return nodes
}

func (n *Node) testAddr() string { return n.Addrs()[0].String() }

// valueKey is one of many keys.
func valueKey(i int) Key { return KeyOfText(fmt.Sprint("value ", i)) }

func closeAll(t *testing.T, nodes ...*Node) {
	for _, n := range nodes {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

// find returns the data of the values a node finds.
func find(t *testing.T, n *Node, key Key) []string {
	t.Helper()
	var found []string
	for v, err := range n.Get(context.Background(), key) {
		if err != nil {
			t.Errorf("get: %v", err)
			break
		}
		found = append(found, string(v.Data))
	}
	return found
}

func only(found []string, want string) error {
	if len(found) != 1 || found[0] != want {
		return fmt.Errorf("found %q, want only %q", found, want)
	}
	return nil
}
