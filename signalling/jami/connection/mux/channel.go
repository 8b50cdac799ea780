package mux

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// overhead is what a buffered object costs besides its data, so that a million
// one-byte objects are not free.
const overhead = 64

// Channel is one byte stream of a Session. It is a net.Conn; its addresses are
// the session's. There is no half close: the end of one direction ends both.
type Channel struct {
	s      *Session
	name   string
	number uint16

	answer chan bool // the peer's answer to our request

	rdl, wdl *deadline
	readable chan struct{} // cap 1: something to read, or the end
	drained  chan struct{} // cap 1: the reader took something
	gone     chan struct{} // closed when the channel has ended

	mu       sync.Mutex // guards the rest
	chunks   [][]byte
	buffered int
	err      error // why it ended; nil while open
}

func newChannel(s *Session, name string, number uint16) *Channel {
	return &Channel{
		s: s, name: name, number: number,
		answer:   make(chan bool, 1),
		rdl:      newDeadline(),
		wdl:      newDeadline(),
		readable: make(chan struct{}, 1),
		drained:  make(chan struct{}, 1),
		gone:     make(chan struct{}),
	}
}

// Name is what the channel was opened as.
func (c *Channel) Name() string { return c.name }

// Done is closed when the channel has ended for whatever reason.
func (c *Channel) Done() <-chan struct{} { return c.gone }

// Session is the connection the channel belongs to.
func (c *Channel) Session() *Session { return c.s }

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// deliver buffers data for the reader. It waits a moment for room, which slows
// the peer down, and then gives the channel up: nobody reads it.
func (c *Channel) deliver(p []byte) error {
	var patience <-chan time.Time
	for {
		c.mu.Lock()
		if c.err != nil {
			c.mu.Unlock()
			return c.err
		}
		if c.buffered == 0 || c.buffered+len(p)+overhead <= c.s.cfg.Buffer {
			c.chunks = append(c.chunks, p)
			c.buffered += len(p) + overhead
			c.mu.Unlock()
			signal(c.readable)
			return nil
		}
		c.mu.Unlock()
		if patience == nil {
			t := time.NewTimer(c.s.cfg.Patience)
			defer t.Stop()
			patience = t.C
		}
		select {
		case <-c.drained:
		case <-c.gone:
		case <-c.s.done:
		case <-patience:
			return ErrOverrun
		}
	}
}

// end finishes the channel; what is buffered can still be read. It reports
// whether it was open.
func (c *Channel) end(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return false
	}
	c.err = err
	close(c.gone)
	signal(c.readable)
	return true
}

// Read returns buffered data; after the peer's end it returns io.EOF.
func (c *Channel) Read(p []byte) (int, error) {
	for {
		select {
		case <-c.rdl.done():
			return 0, os.ErrDeadlineExceeded
		default:
		}
		c.mu.Lock()
		if len(c.chunks) > 0 {
			n := copy(p, c.chunks[0])
			if n == len(c.chunks[0]) {
				c.chunks[0] = nil
				c.chunks = c.chunks[1:]
				c.buffered -= overhead
			} else {
				c.chunks[0] = c.chunks[0][n:]
			}
			c.buffered -= n
			more := len(c.chunks) > 0 || c.err != nil
			c.mu.Unlock()
			signal(c.drained)
			if more {
				signal(c.readable)
			}
			return n, nil
		}
		err := c.err
		c.mu.Unlock()
		if err != nil {
			signal(c.readable) // for other readers
			return 0, err
		}
		if len(p) == 0 {
			return 0, nil
		}
		select {
		case <-c.readable:
		case <-c.rdl.done():
		}
	}
}

// Write sends p, in objects of up to 16 kB that take turns with those of other channels.
// It blocks as long as the peer does not read from the connection. The error is
// io.ErrClosedPipe, wrapped, if the peer has ended the channel, net.ErrClosed if we have,
// os.ErrDeadlineExceeded, or why the session has ended.
func (c *Channel) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := min(len(p)-n, maxWrite)
		if err := c.s.write(c.number, p[n:n+k], c.gone, c.wdl.done()); err != nil {
			return n, c.reason(err)
		}
		n += k
	}
	return n, nil
}

// reason prefers why the channel ended over the error that it caused.
func (c *Channel) reason(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		if errors.Is(c.err, io.EOF) {
			return fmt.Errorf("mux: channel ended by the peer: %w", io.ErrClosedPipe)
		}
		return c.err
	}
	return err
}

// Close ends the channel in both directions. What was not read is dropped. The error is
// always nil.
func (c *Channel) Close() error {
	if !c.end(net.ErrClosed) {
		return nil
	}
	c.mu.Lock()
	c.chunks, c.buffered = nil, 0
	c.mu.Unlock()
	c.s.forget(c)
	c.s.queue(appendObject(nil, c.number, nil))
	return nil
}

// LocalAddr is the connection's local address.
func (c *Channel) LocalAddr() net.Addr { return c.s.conn.LocalAddr() }

// RemoteAddr is the connection's remote address.
func (c *Channel) RemoteAddr() net.Addr { return c.s.conn.RemoteAddr() }

// SetDeadline says until when reads and writes may wait; the zero time is for ever. It
// never fails.
func (c *Channel) SetDeadline(t time.Time) error {
	c.rdl.set(t)
	c.wdl.set(t)
	return nil
}

// SetReadDeadline makes reads return os.ErrDeadlineExceeded from t on.
func (c *Channel) SetReadDeadline(t time.Time) error { c.rdl.set(t); return nil }

// SetWriteDeadline makes writes that wait for their turn give up at t. An object whose
// sending has begun is sent whole. It never fails.
func (c *Channel) SetWriteDeadline(t time.Time) error { c.wdl.set(t); return nil }
