package icetcp

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// A connection whose peer is silent may have been cut. The peer does not know: a
// goodbye, and what either side sent before, are repeated at ever longer
// intervals, so that when the network is back they come about as late as the cut
// was long. Until then a daemon may take the old connection for alive and prefer
// it to a new one. So such a connection is kept, and reset when there is a way to
// the peer again: what it has to send finds out at once.

// Abandon makes Close leave the connection open, for Await or Reset to end it. It
// reports false if that cannot be, as through a relay.
func (c *Conn) Abandon() bool {
	t, ok := c.Conn.(*net.TCPConn)
	if !ok || c.relay != nil {
		return false
	}
	c.abandoned.Store(true)
	// The kernel is to hold on to it: what is gone cannot be reset.
	if raw, err := t.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 0) })
	}
	_ = t.SetKeepAlive(false)
	return true
}

// Await waits for a sign of life of the peer of an abandoned connection that has
// been closed, and resets it then, or when the time is over. Nobody else may be
// reading.
func (c *Conn) Await(d time.Duration) {
	if c.Conn.SetReadDeadline(time.Now().Add(d)) == nil {
		var b [1]byte
		_, _ = c.Conn.Read(b[:]) // whatever it is
	}
	c.Reset()
}

// Reset ends an abandoned connection at once; the peer gets a reset if there is a
// way to it.
func (c *Conn) Reset() {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	c.Conn.Close()
	c.closeLosers()
}
