package icetcp

import (
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// A connection whose peer is silent may have been cut. The peer does not know, and
// a daemon that still takes it for alive when the network is back puts calls and
// requests into it. Nor does a daemon look for the end of a connection that it is
// not writing to: it has to read the goodbye that TLS says. So the goodbye is left
// to the kernel, which repeats it until it gets through.

// tcpRTOMax is the socket option TCP_RTO_MAX_MS of Linux 6.15 and later.
const tcpRTOMax = 44

// rtoMax bounds the time between repetitions of what is not acknowledged. By
// default it doubles up to two minutes: a connection comes back to life as late
// after a cut as the cut was long. A daemon that asks for a sign of life has three
// seconds of patience.
const rtoMax = time.Second

// Abandon makes Close leave the connection to the kernel, to get out what was
// written last for as long as d; Await or Drop are to follow. It reports false if
// that cannot be, as through a relay.
func (c *Conn) Abandon(d time.Duration) bool {
	t, ok := c.Conn.(*net.TCPConn)
	if !ok || c.relay != nil {
		return false
	}
	c.abandoned.Store(true)
	if raw, err := t.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
	}
	_ = t.SetKeepAlive(false)
	return true
}

// detach ends what reads from an abandoned connection, and our half of it.
func (c *Conn) detach() error {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		_ = t.CloseWrite()
	}
	return c.Conn.SetReadDeadline(time.Unix(1, 0))
}

// Await waits until the peer of an abandoned connection that has been closed has
// heard of it and closes its half, no longer than d. What it sends until then is
// taken and thrown away: a reset would overtake the goodbye. Nobody else may be
// reading.
func (c *Conn) Await(d time.Duration) {
	if c.Conn.SetReadDeadline(time.Now().Add(d)) == nil {
		_, _ = io.Copy(io.Discard, c.Conn)
	}
	c.Drop()
}

// Drop ends an abandoned connection.
func (c *Conn) Drop() {
	c.Conn.Close()
	c.closeLosers()
}
