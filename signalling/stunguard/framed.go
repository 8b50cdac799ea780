package stunguard

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// maxFrame bounds a frame of ICE over TCP: pion reads no longer ones.
const maxFrame = 8192

// Listener returns l for ICE over TCP: what its connections read are whole frames (RFC 4571: a length of two
// bytes and the packet), without those of STUN that is not well-formed. A frame of more than 8192 bytes
// ends what can be read of a connection.
func (g *Guard) Listener(l net.Listener) net.Listener { return &listener{l, g} }

type listener struct {
	net.Listener
	guard *Guard
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &framedConn{Conn: c, guard: l.guard, in: bufio.NewReader(c)}, nil
}

// framedConn is read by one goroutine at a time.
type framedConn struct {
	net.Conn
	guard *Guard
	in    *bufio.Reader
	frame []byte // the buffer of the newest frame
	rest  []byte // what of it is still to be read
}

func (c *framedConn) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
		if !c.guard.pass(c.frame[2:]) {
			continue
		}
		c.rest = c.frame
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// next reads a frame with its length.
func (c *framedConn) next() error {
	head, err := c.in.Peek(2)
	if err != nil {
		return err
	}
	n := 2 + int(binary.BigEndian.Uint16(head))
	if n > 2+maxFrame {
		return fmt.Errorf("a frame of %d bytes, over %d", n-2, maxFrame)
	}
	if cap(c.frame) < n {
		c.frame = make([]byte, n, max(n, 1500))
	}
	c.frame = c.frame[:n]
	_, err = io.ReadFull(c.in, c.frame)
	return err
}
