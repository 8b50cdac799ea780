package sip

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Patience with TCP and TLS connections.
const (
	firstMessage = 30 * time.Second // until anything readable comes
	writeTimeout = 10 * time.Second
)

// gate keeps strangers from using up the host.
type gate struct {
	log     *slog.Logger
	metrics *metrics
	limiter *limiter
	limits  Limits

	mu          sync.Mutex // guards what follows
	connections int
	bySource    map[netip.Addr]int
}

// enter counts a new connection if there is room for it.
func (g *gate) enter(source netip.Addr) bool {
	key := network(source)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.connections >= g.limits.Connections || g.bySource[key] >= g.limits.PerSource {
		return false
	}
	g.connections++
	g.bySource[key]++
	return true
}

func (g *gate) leave(source netip.Addr) {
	key := network(source)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.connections--
	if g.bySource[key]--; g.bySource[key] == 0 {
		delete(g.bySource, key)
	}
}

// gatedListener refuses connections beyond the limits.
type gatedListener struct {
	net.Listener
	gate *gate
}

func (l gatedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := addrOf(c.RemoteAddr())
		if !l.gate.enter(source) {
			l.gate.metrics.dropped.WithLabelValues("connections").Inc()
			c.Close()
			continue
		}
		return &gatedConn{Conn: c, leave: sync.OnceFunc(func() { l.gate.leave(source) })}, nil
	}
}

type gatedConn struct {
	net.Conn
	leave func()
}

func (c *gatedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// patientListener gives connections, TLS handshake included, a time in which they must say something.
type patientListener struct{ net.Listener }

func (l patientListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if err := c.SetReadDeadline(time.Now().Add(firstMessage)); err != nil {
		c.Close()
		return nil, err
	}
	return &patientConn{Conn: c}, nil
}

// patientConn is read by one goroutine.
type patientConn struct {
	net.Conn
	spoken bool
}

func (c *patientConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && !c.spoken {
		c.spoken = true
		err = c.SetReadDeadline(time.Time{})
	}
	return n, err
}

func (c *patientConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// addrOf takes the IP address out of a network address.
func addrOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	return sourceAddr(a.String())
}

// sourceAddr takes the IP address out of "host:port"; the zero Addr if there is none.
func sourceAddr(hostport string) netip.Addr {
	ap, err := netip.ParseAddrPort(hostport)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}
