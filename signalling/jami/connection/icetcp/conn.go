package icetcp

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/stun"
)

// keepAliveEvery is how often an otherwise silent connection tells NATs that
// it lives (RFC 5245 section 10; pjnath does so every 20 to 24 s).
const keepAliveEvery = 20 * time.Second

// Conn is a nominated connection: a byte stream in RFC 4571 frames. Checks and
// keep-alives of the peer are answered and swallowed by Read, so somebody has
// to be reading all the time. One reader at a time.
type Conn struct {
	net.Conn
	controlling bool
	local       Description
	relay       *Relay
	refused     func(string)

	br   *bufio.Reader
	left int // bytes of the current data frame still to be read

	wmu       sync.Mutex // held while a frame is written; guards lastWrite
	lastWrite time.Time

	keep   *time.Timer
	losers []net.Conn // see closeLosers
	once   sync.Once

	abandoned atomic.Bool
}

func newConn(l *link, a *Agent, losers []net.Conn) *Conn {
	l.conn.SetReadDeadline(time.Time{})
	l.conn.SetWriteDeadline(time.Time{})
	c := &Conn{
		Conn: l.conn, br: l.br,
		controlling: a.controller, local: a.local, refused: a.cfg.Refused,
		losers: losers,
	}
	c.keep = time.AfterFunc(keepAliveEvery, c.keepAlive)
	return c
}

// Controlling tells the role the negotiation ended in. In Jami the controlling
// side is the TLS client.
func (c *Conn) Controlling() bool { return c.controlling }

// closeLosers closes the connections that were not chosen, no sooner than the one
// that was. The event queue of the ICE library that Jami uses reports the end of
// a connection that nobody there reads for ever after, and then sleeps half a
// second each time it is asked: with one of them closed, everything we send would
// be seen up to half a second late.
func (c *Conn) closeLosers() {
	for _, l := range c.losers {
		l.Close()
	}
}

func (c *Conn) keepAlive() {
	if err := c.sayAlive(); err != nil {
		return // the reader learns of it as well
	}
	c.keep.Reset(keepAliveEvery)
}

// sayAlive sends a keep-alive, unless something is being written or has been lately.
func (c *Conn) sayAlive() error {
	if !c.wmu.TryLock() {
		return nil
	}
	defer c.wmu.Unlock()
	if time.Since(c.lastWrite) < keepAliveEvery {
		return nil
	}
	m, err := buildKeepAlive()
	if err != nil {
		return err
	}
	return writeFrame(c.Conn, m.Raw)
}

// Close ends the connection and those that were not chosen. The error is the system's;
// net.ErrClosed for the second time.
func (c *Conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		c.keep.Stop()
		if c.abandoned.Load() {
			err = c.detach()
			return
		}
		err = c.Conn.Close()
		c.closeLosers()
		if c.relay != nil {
			c.relay.Close()
		}
	})
	return err
}

// Write sends p in frames (RFC 4571). After an error, a deadline's too, half a frame may
// be out: the connection is of no use then.
func (c *Conn) Write(p []byte) (int, error) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.lastWrite = time.Now()
	n := 0
	for n < len(p) {
		k := min(len(p)-n, maxFrame)
		if err := writeFrame(c.Conn, p[n:n+k]); err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}

// Read returns the data of the frames (RFC 4571), one after the other. The error is that
// of the connection; io.ErrUnexpectedEOF if it ends within a frame.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for c.left == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n, err := c.br.Read(p[:min(len(p), c.left)])
	c.left -= n
	if err == io.EOF && c.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// next reads a frame's length and, if it is STUN, all of it. It consumes
// nothing before it can finish the header, so that a read deadline loses no
// place in the stream between frames.
func (c *Conn) next() error {
	h, err := c.br.Peek(2)
	if err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint16(h))
	if n < stunHeader {
		c.br.Discard(2)
		c.left = n
		return nil
	}
	h, err = c.br.Peek(2 + stunHeader)
	if err != nil {
		return err
	}
	if !isSTUN(h[2:]) || n > maxCheck {
		c.br.Discard(2)
		c.left = n
		return nil
	}
	f, err := c.br.Peek(2 + n)
	if err != nil {
		return err
	}
	m, err := decode(append([]byte(nil), f[2:]...))
	if err != nil {
		// It only looks like STUN: then it is data.
		c.br.Discard(2)
		c.left = n
		return nil
	}
	c.br.Discard(2 + n)
	if m.Type != stun.BindingRequest {
		return nil // keep-alives, late answers
	}
	if _, err := verifyRequest(m, c.local, Description{}); err != nil {
		c.refused(RefusedIntegrity)
		return nil
	}
	ok, err := buildSuccess(m, addrPort(c.Conn.RemoteAddr()), c.local.Password)
	if err != nil {
		return nil
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	return writeFrame(c.Conn, ok.Raw)
}
