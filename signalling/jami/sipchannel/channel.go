package sipchannel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"rendezvous/signalling/jami/connection"
)

const (
	maxMessage = 64 << 10 // bytes of one SIP message from a peer
	writeTime  = 10 * time.Second
	// maxWaiting bounds the requests to one peer that wait for their answers.
	maxWaiting = 64
)

var errNoAnswer = errors.New("the SIP channel is closed or its peer does not answer")

// ErrMalformed is wrapped by the reason why a channel ended whose peer sent what is no SIP.
var ErrMalformed = errors.New("malformed SIP")

// Channel is SIP with one device: a stream of messages both ways. It matches responses to
// requests. The channel below is reliable, so nothing is repeated (RFC 3261 §17).
type Channel struct {
	conn     net.Conn
	peer     connection.Peer
	exchange *Exchange

	ctx    context.Context // ends with the channel
	cancel context.CancelFunc
	heard  atomic.Pointer[time.Time] // when the last bytes came from the peer; nil: none yet

	writeMu sync.Mutex // held while a message is written

	mu      sync.Mutex // guards waiting
	waiting map[string]chan *sip.Response
}

func newChannel(x *Exchange, peer connection.Peer, conn net.Conn) *Channel {
	c := &Channel{conn: conn, peer: peer, exchange: x, waiting: make(map[string]chan *sip.Response)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Peer is the device at the other end, as TLS proved it.
func (c *Channel) Peer() connection.Peer { return c.peer }

// Context ends when the channel does.
func (c *Channel) Context() context.Context { return c.ctx }

// Close ends the channel, and with it every request that waits for an answer.
func (c *Channel) Close() { _ = c.conn.Close() }

// run reads messages until the channel ends.
func (c *Channel) run() error {
	defer c.cancel()
	defer c.Close()
	parser := sip.NewParser()
	parser.MaxMessageLength = maxMessage
	stream := parser.NewSIPStream()
	defer stream.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := c.conn.Read(buf)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("read SIP channel: %w", err)
		}
		now := time.Now()
		c.heard.Store(&now)
		err = stream.ParseSIPStream(buf[:n], c.receive)
		if err != nil && !errors.Is(err, sip.ErrParseSipPartial) {
			c.exchange.malformed()
			return fmt.Errorf("%w: %w", ErrMalformed, err) // the stream's framing is lost
		}
	}
}

func (c *Channel) receive(m sip.Message) {
	switch m := m.(type) {
	case *sip.Response:
		via := m.Via()
		if via == nil {
			c.exchange.malformed()
			return
		}
		branch, _ := via.Params.Get("branch")
		c.mu.Lock()
		ch := c.waiting[branch]
		c.mu.Unlock()
		if ch == nil {
			return // the answer to something we no longer wait for
		}
		select {
		case ch <- m:
		default: // provisional responses beyond what anybody reads
		}
	case *sip.Request:
		if m.Via() == nil || m.From() == nil || m.To() == nil || m.CallID() == nil || m.CSeq() == nil {
			c.exchange.malformed()
			return // RFC 3261 §8.1.1: cannot even be answered
		}
		c.exchange.request(c, m)
	}
}

// Write sends one message. An error ends the channel: half a message may be out. Nobody says
// that the device has taken it.
func (c *Channel) Write(m sip.Message) error {
	b := []byte(m.String())
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return fmt.Errorf("SIP channel: %w", err)
	}
	if _, err := c.conn.Write(b); err != nil {
		c.Close() // half a message may be out: nothing that follows would be understood
		return fmt.Errorf("write SIP channel: %w", err)
	}
	return nil
}

// Respond answers a request. change, if not nil, adds to the response. It fails as Write does.
func (c *Channel) Respond(r *sip.Request, code int, reason string, tag string, change func(*sip.Response)) error {
	resp := sip.NewResponseFromRequest(r, code, reason, nil)
	if to := resp.To(); to != nil && tag != "" {
		to.Params.Remove("tag")
		to.Params.Add("tag", tag)
	}
	resp.AppendHeader(sip.NewHeader("User-Agent", userAgent))
	if change != nil {
		change(resp)
	}
	return c.Write(resp)
}

// Local and Remote are the addresses that headers carry; for channels they are only decoration.
func (c *Channel) Local() (host string, port int)  { return hostPort(c.conn.LocalAddr()) }
func (c *Channel) Remote() (host string, port int) { return hostPort(c.conn.RemoteAddr()) }

// PeerAddr is where the device is; not valid if that is not known.
func (c *Channel) PeerAddr() netip.Addr {
	t, ok := c.conn.RemoteAddr().(*net.TCPAddr)
	if !ok || t == nil {
		return netip.Addr{}
	}
	return t.AddrPort().Addr().Unmap().WithZone("")
}

func hostPort(a net.Addr) (host string, port int) {
	if t, ok := a.(*net.TCPAddr); ok && t != nil {
		return strings.Trim(t.IP.String(), "[]"), t.Port
	}
	return "127.0.0.1", 5061
}
