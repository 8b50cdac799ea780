package call

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
)

const (
	maxMessage = 64 << 10 // bytes of one SIP message from a peer
	maxDialogs = 16       // at once on one channel
	// answerTime is how long a peer may take to answer a request (64*T1, RFC 3261 §17.1.1.2).
	answerTime = 32 * time.Second
	writeTime  = 10 * time.Second
	// maxWaiting bounds the requests to one peer that wait for their answers.
	maxWaiting = 64
)

// userAgent says which features we have: several videos, one sound (spec/calls.md §2).
const userAgent = "Jami Daemon 13.10.0 (rendezvous)"

const allow = "INVITE, ACK, BYE, CANCEL, INFO, OPTIONS, MESSAGE, UPDATE"

// link is SIP over one channel to one device: a stream of messages both ways. It
// matches responses to requests and gives requests to their dialogs. The channel is
// reliable, so nothing is repeated (RFC 3261 §17).
type link struct {
	conn   net.Conn
	log    *slog.Logger
	peer   Peer
	handle func(*link, *sip.Request) // runs in the reader, in order; must not wait for the peer

	writeMu sync.Mutex // held while a message is written

	mu      sync.Mutex // guards waiting and dialogs
	waiting map[string]chan *sip.Response
	dialogs map[string]*Call // by Call-ID
	closed  bool

	malformed atomic.Uint64
	done      chan struct{}
}

// Peer is the device at the other end of a channel, as TLS proved it.
type Peer struct {
	Account string // 40 hex digits
	Device  string // 64 hex digits
}

func newLink(conn net.Conn, peer Peer, log *slog.Logger, handle func(*link, *sip.Request)) *link {
	return &link{conn: conn, peer: peer, log: log, handle: handle, waiting: make(map[string]chan *sip.Response),
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
			l.malformed.Add(1)
			return fmt.Errorf("SIP channel: %w", err) // the stream's framing is lost
		}
	}
}

func (l *link) receive(m sip.Message) {
	switch m := m.(type) {
	case *sip.Response:
		via := m.Via()
		if via == nil {
			l.malformed.Add(1)
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
			l.malformed.Add(1)
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
		return fmt.Errorf("write SIP channel: %w", err)
	}
	return nil
}

// request sends a request and returns its final response. provisional, if not nil,
// sees the others.
func (l *link) request(ctx context.Context, r *sip.Request, provisional func(*sip.Response)) (*sip.Response, error) {
	branch, _ := r.Via().Params.Get("branch")
	ch := make(chan *sip.Response, 8)
	l.mu.Lock()
	if l.closed || len(l.waiting) >= maxWaiting {
		l.mu.Unlock()
		return nil, fmt.Errorf("%s: the SIP channel is closed or its peer does not answer", r.Method)
	}
	l.waiting[branch] = ch
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.waiting, branch)
		l.mu.Unlock()
	}()
	if err := l.write(r); err != nil {
		return nil, err
	}
	for {
		select {
		case resp := <-ch:
			if resp.StatusCode >= 200 {
				return resp, nil
			}
			if provisional != nil {
				provisional(resp)
			}
		case <-l.done:
			return nil, fmt.Errorf("%s: %w", r.Method, net.ErrClosed)
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", r.Method, ctx.Err())
		}
	}
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
