package call

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

const (
	maxMessage = 64 << 10 // bytes of one SIP message from a peer
	maxDialogs = 16       // at once on one channel
	writeTime  = 10 * time.Second
	// maxWaiting bounds the requests to one peer that wait for their answers.
	maxWaiting = 64
)

var errNoAnswer = errors.New("the SIP channel is closed or its peer does not answer")

// userAgent says which features we have: several videos, one sound (spec/calls.md §2).
const userAgent = "Jami Daemon 13.10.0 (rendezvous)"

const allow = "INVITE, ACK, BYE, CANCEL, INFO, OPTIONS, MESSAGE, UPDATE"

// link is SIP over one channel to one device: a stream of messages both ways. It
// matches responses to requests and gives requests to their dialogs. The channel is
// reliable, so nothing is repeated (RFC 3261 §17).
type link struct {
	conn   net.Conn
	peer   Peer
	handle func(*link, *sip.Request) // runs in the reader, in order; must not wait for the peer

	writeMu sync.Mutex // held while a message is written

	mu      sync.Mutex // guards waiting and dialogs
	waiting map[string]chan *sip.Response
	dialogs map[string]*Call // by Call-ID
	closed  bool

	metrics *Metrics
	done    chan struct{} // closed when run has ended
}

// Peer is the device at the other end of a channel, as TLS proved it.
type Peer struct {
	Account string // 40 hex digits
	Device  string // 64 hex digits
}

func newLink(conn net.Conn, peer Peer, metrics *Metrics, handle func(*link, *sip.Request)) *link {
	return &link{conn: conn, peer: peer, metrics: metrics, handle: handle, waiting: make(map[string]chan *sip.Response),
		dialogs: make(map[string]*Call), done: make(chan struct{})}
}

// run reads messages until the channel ends.
func (l *link) run() error {
	defer close(l.done)
	defer l.failAll()
	parser := sip.NewParser()
	parser.MaxMessageLength = maxMessage
	stream := parser.NewSIPStream()
	defer stream.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := l.conn.Read(buf)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("read SIP channel: %w", err)
		}
		err = stream.ParseSIPStream(buf[:n], l.receive)
		if err != nil && !errors.Is(err, sip.ErrParseSipPartial) {
			l.metrics.unreadable()
			return fmt.Errorf("SIP channel: %w", err) // the stream's framing is lost
		}
	}
}

func (l *link) receive(m sip.Message) {
	switch m := m.(type) {
	case *sip.Response:
		via := m.Via()
		if via == nil {
			l.metrics.unreadable()
			return
		}
		branch, _ := via.Params.Get("branch")
		l.mu.Lock()
		ch := l.waiting[branch]
		l.mu.Unlock()
		if ch == nil {
			return // the answer to something we no longer wait for
		}
		select {
		case ch <- m:
		default: // provisional responses beyond what anybody reads
		}
	case *sip.Request:
		if m.Via() == nil || m.From() == nil || m.To() == nil || m.CallID() == nil || m.CSeq() == nil {
			l.metrics.unreadable()
			return // RFC 3261 §8.1.1: cannot even be answered
		}
		l.handle(l, m)
	}
}

// write sends one message.
func (l *link) write(m sip.Message) error {
	b := []byte(m.String())
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return fmt.Errorf("SIP channel: %w", err)
	}
	if _, err := l.conn.Write(b); err != nil {
		_ = l.conn.Close() // half a message may be out: nothing that follows would be understood
		return fmt.Errorf("write SIP channel: %w", err)
	}
	return nil
}

// transaction is a request of ours that waits for its responses.
type transaction struct {
	link      *link
	request   *sip.Request
	branch    string
	responses chan *sip.Response
}

// begin sends a request. The transaction is to be ended.
func (l *link) begin(r *sip.Request) (*transaction, error) {
	t := &transaction{link: l, request: r, responses: make(chan *sip.Response, 8)}
	t.branch, _ = r.Via().Params.Get("branch")
	l.mu.Lock()
	if l.closed || len(l.waiting) >= maxWaiting {
		l.mu.Unlock()
		return nil, fmt.Errorf("%s: %w", r.Method, errNoAnswer)
	}
	l.waiting[t.branch] = t.responses
	l.mu.Unlock()
	if err := l.write(r); err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

func (t *transaction) end() {
	t.link.mu.Lock()
	delete(t.link.waiting, t.branch)
	t.link.mu.Unlock()
}

// final waits for the final response.
func (t *transaction) final(ctx context.Context) (*sip.Response, error) {
	for {
		select {
		case resp := <-t.responses:
			if resp.StatusCode >= 200 {
				return resp, nil
			}
		case <-t.link.done:
			return nil, fmt.Errorf("%s: %w", t.request.Method, net.ErrClosed)
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", t.request.Method, ctx.Err())
		}
	}
}

// request sends a request and returns its final response.
func (l *link) request(ctx context.Context, r *sip.Request) (*sip.Response, error) {
	t, err := l.begin(r)
	if err != nil {
		return nil, err
	}
	defer t.end()
	return t.final(ctx)
}

// respond answers a request. change, if not nil, adds to the response.
func (l *link) respond(r *sip.Request, code int, reason string, tag string, change func(*sip.Response)) error {
	resp := sip.NewResponseFromRequest(r, code, reason, nil)
	if to := resp.To(); to != nil && tag != "" {
		to.Params.Remove("tag")
		to.Params.Add("tag", tag)
	}
	resp.AppendHeader(sip.NewHeader("User-Agent", userAgent))
	if change != nil {
		change(resp)
	}
	return l.write(resp)
}

func (l *link) failAll() {
	l.mu.Lock()
	l.closed = true
	calls := make([]*Call, 0, len(l.dialogs))
	for _, c := range l.dialogs {
		calls = append(calls, c)
	}
	l.mu.Unlock()
	for _, c := range calls {
		c.linkLost()
	}
}

func (l *link) call(id string) *Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dialogs[id]
}

func (l *link) addCall(id string, c *Call) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.dialogs) >= maxDialogs {
		return false
	}
	l.dialogs[id] = c
	return true
}

func (l *link) removeCall(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.dialogs, id)
}

// token is a random word for tags, branches and call ids.
func token() string {
	var b [12]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// hostPort is an address as SIP headers carry it; for channels it is only decoration.
func hostPort(a net.Addr) (host string, port int) {
	if t, ok := a.(*net.TCPAddr); ok && t != nil {
		return strings.Trim(t.IP.String(), "[]"), t.Port
	}
	return "127.0.0.1", 5061
}
