package sip

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/emiago/sipgo/sip"
)

// framedListener's connections give sipgo what it can read, one message after the other, and answer what it cannot:
// sipgo closes a connection at the first such message, without a word, and all the calls of a proxy may be on it.
type framedListener struct {
	net.Listener
	gate *gate
}

func (l framedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &framedConn{Conn: c, gate: l.gate, parser: sip.NewParser()}, nil
}

// framedConn is read by one goroutine.
type framedConn struct {
	net.Conn
	gate   *gate
	parser *sip.Parser
	in     []byte // what has come, from the beginning of a message on
	out    []byte // what is left of a message that is being read
}

// readAtOnce is how much is asked of the connection at a time, bytes.
const readAtOnce = 4096

// errFraming means that nobody knows where the next message begins.
var errFraming = errors.New("no end of the SIP message to be found")

func (c *framedConn) Read(b []byte) (int, error) {
	for len(c.out) == 0 {
		whole, err := c.cut()
		if err != nil {
			return 0, err
		}
		if whole {
			continue
		}
		had := len(c.in)
		c.in = append(c.in, make([]byte, readAtOnce)...)
		n, err := c.Conn.Read(c.in[had:])
		c.in = c.in[:had+n]
		if err != nil && n == 0 {
			return 0, err
		}
	}
	n := copy(b, c.out)
	c.out = c.out[n:]
	return n, nil
}

// ping is a keep-alive that sipgo answers (RFC 5626 §3.5.1). Other line ends between messages mean nothing, as long as
// they are few.
const (
	ping     = "\r\n\r\n"
	maxBlank = 1024 // at once
)

// cut takes what is whole off the beginning of what has come: line ends or a message. It reports false if more must
// come first.
func (c *framedConn) cut() (whole bool, err error) {
	rest := bytes.TrimLeft(c.in, "\r\n")
	if ends := len(c.in) - len(rest); ends > 0 {
		switch {
		case ends == len(ping):
			c.out = c.in[:ends:ends]
		case ends > maxBlank:
			return false, errFraming
		}
		c.in = rest
		return true, nil
	}
	end := bytes.Index(c.in, []byte(endOfHead))
	if end < 0 {
		if len(c.in) > sip.ParseMaxMessageLength {
			return false, c.giveUp(c.in)
		}
		return false, nil
	}
	h := headOf(c.in[:end])
	n, ok := h.contentLength() // RFC 3261 §18.3: must be there
	size := end + len(endOfHead) + n
	if !ok || size > sip.ParseMaxMessageLength {
		return false, c.giveUp(c.in[:end])
	}
	if len(c.in) < size {
		return false, nil
	}
	message := c.in[:size:size]
	c.in = c.in[size:]
	source := addrOf(c.RemoteAddr())
	out := readable(message, source)
	if _, err := c.parser.ParseSIP(out); err != nil {
		if !c.gate.limiter.allow(source, classify(message), time.Now()) {
			return false, fmt.Errorf("too many malformed messages: %w", err)
		}
		return true, c.refuse(message, err) // it ends here, and the next begins
	}
	c.out = out
	return true, nil
}

// refuse answers what cannot be read.
func (c *framedConn) refuse(message []byte, why error) error {
	from, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	if answer := c.gate.malformed(message, from, why); answer != nil {
		if _, err := c.Write(answer); err != nil {
			return fmt.Errorf("answer a malformed message: %w", err)
		}
	}
	return nil
}

// lingering is how long a connection lives on whose messages cannot be told apart any more.
const lingering = time.Second

// giveUp refuses what has no end, and returns when the connection may be closed: the answers to the messages before
// are on their way, and closing a connection with bytes unread takes back what was written to it.
func (c *framedConn) giveUp(message []byte) error {
	if err := c.refuse(message, errFraming); err != nil {
		return err
	}
	over := time.AfterFunc(lingering, func() { c.Close() })
	defer over.Stop()
	_, _ = io.CopyN(io.Discard, c.Conn, int64(sip.ParseMaxMessageLength)) // the other end closes it, or we do
	return errFraming
}
