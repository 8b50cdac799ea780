package sip

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"rendezvous/internal/connlimit"
)

// Patience with TCP and TLS connections.
const (
	firstMessage = 30 * time.Second // until the head of a SIP message is complete
	// idle is how long nothing may come, not even a keep-alive (RFC 5626 section 4.4.1 has one every two
	// minutes), while no call uses the connection.
	idle         = 3 * time.Minute
	writeTimeout = 10 * time.Second
)

// gate keeps strangers from using up the host.
type gate struct {
	log         *slog.Logger
	metrics     *metrics
	limiter     *limiter
	connections *connlimit.Limiter
}

// patientListener gives connections, TLS handshake included, a time in which they must say something, and
// closes those that nothing comes from and no call uses.
type patientListener struct {
	net.Listener
	first, idle time.Duration
	inUse       func(remote string) bool
}

func (l patientListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if err := c.SetReadDeadline(time.Now().Add(l.first)); err != nil {
		c.Close()
		return nil, err
	}
	return &patientConn{Conn: c, patience: &l}, nil
}

// patientConn is read by one goroutine.
type patientConn struct {
	net.Conn
	patience *patientListener
	begun    bool // a byte of a message has come, not only keep-alives
	ends     int  // line ends since the last other byte
	spoken   bool // the head of a message has come
}

func (c *patientConn) Read(b []byte) (int, error) {
	for {
		if c.spoken {
			if err := c.SetReadDeadline(time.Now().Add(c.patience.idle)); err != nil {
				return 0, err
			}
		}
		n, err := c.Conn.Read(b)
		if n > 0 {
			c.look(b[:n])
		} else if c.spoken && errors.Is(err, os.ErrDeadlineExceeded) && c.patience.inUse(c.RemoteAddr().String()) {
			continue
		}
		return n, err
	}
}

// look waits for the end of the first head: an empty line after something that is not empty.
func (c *patientConn) look(b []byte) {
	for i := 0; i < len(b) && !c.spoken; i++ {
		switch b[i] {
		case '\r':
		case '\n':
			c.ends++
			c.spoken = c.begun && c.ends == 2
		default:
			c.begun, c.ends = true, 0
		}
	}
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
