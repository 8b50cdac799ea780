package conversation

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"time"

	"rendezvous/signalling/jami/connection"
	"rendezvous/signalling/jami/connection/mux"
)

// Bounds of SIP.
const (
	maxSIP     = 64 << 10 // bytes of one message from a peer
	answerTime = 32 * time.Second
	writeTime  = 20 * time.Second
	maxAwaited = 64
)

// sipLink is a SIP channel to a device. It takes the messages of conversations
// out of the stream, and the answers to its own; all else goes to the calls.
type sipLink struct {
	s    *Service
	ch   net.Conn
	peer connection.Peer

	ready chan struct{} // closed when the peer may be sent anything: see settle

	writeMu sync.Mutex // held while a message is written

	mu      sync.Mutex          // guards the rest
	awaited map[string]chan int // by Call-ID: the status of the answer
	closed  bool
}

// serveSIP has a SIP channel that a peer opened, until it ends.
func (s *Service) serveSIP(p connection.Peer, ch net.Conn) {
	if l := s.newLink(p, ch); l != nil {
		close(l.ready)
		l.serve()
	}
}

// newLink makes a channel the device's link; nil if the service is closed. The
// link must be served, and its ready closed.
func (s *Service) newLink(p connection.Peer, ch net.Conn) *sipLink {
	l := &sipLink{s: s, ch: ch, peer: p, awaited: map[string]chan int{}, ready: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		ch.Close()
		return nil
	}
	s.wg.Add(1)
	s.links[p.Device.Long] = l
	return l
}

// serve has the link until it ends, and gives the calls their part of it.
func (l *sipLink) serve() {
	defer l.s.wg.Done()
	r, w := io.Pipe()
	var calls sync.WaitGroup
	if l.s.cfg.SIP != nil {
		calls.Go(func() {
			l.s.cfg.SIP(l.peer, forCalls{l.ch, l, r})
			r.Close()
		})
	} else {
		r.Close()
	}
	l.pump(w)
	calls.Wait()
}

// ForCalls takes a SIP channel that was opened for a call, and returns what the
// call is to use in its place: the peer may send the messages of conversations
// on any SIP channel.
func (s *Service) ForCalls(p connection.Peer, ch net.Conn) net.Conn {
	l := s.newLink(p, ch)
	if l == nil {
		return ch // closed
	}
	r, w := io.Pipe()
	go func() { // Close waits for it
		defer s.wg.Done()
		l.pump(w)
	}()
	l.settle()
	return forCalls{ch, l, r}
}

// settleTime bounds the wait for the answer to the first request on a channel.
const settleTime = 2 * time.Second

// settle waits until the peer is done with setting up a channel that we opened.
// A daemon says that it accepts the channel, takes the lock of its SIP connections,
// and handles what has come meanwhile with the lock still held: an INVITE, which
// needs that lock, locks the daemon up for good, seen with a debugger. So the
// first request is one that needs nothing.
func (l *sipLink) settle() {
	defer close(l.ready)
	ctx, cancel := context.WithTimeout(l.s.ctx, settleTime)
	defer cancel()
	if _, err := l.ask(ctx, "OPTIONS", "", nil); err != nil {
		l.s.log.Debug("conversation: no answer on a new SIP channel", "peer", l.peer.Account, "error", err)
	}
}

// forCalls is the channel as the calls see it.
type forCalls struct {
	net.Conn // writes, deadlines and addresses
	l        *sipLink
	r        *io.PipeReader
}

func (f forCalls) Read(p []byte) (int, error) { return f.r.Read(p) }

func (f forCalls) Write(p []byte) (int, error) {
	f.l.writeMu.Lock()
	defer f.l.writeMu.Unlock()
	return f.Conn.Write(p)
}

func (f forCalls) Close() error { return errors.Join(f.r.Close(), f.Conn.Close()) }

// pump reads the channel until it ends, and passes on to w what is not about
// conversations.
func (l *sipLink) pump(w *io.PipeWriter) {
	stop := context.AfterFunc(l.s.ctx, func() { l.ch.Close() })
	defer stop()
	l.s.background(func() { l.s.met(l.peer) })
	in := bufio.NewReaderSize(l.ch, 16<<10)
	for {
		m, err := readSIP(in)
		if err != nil {
			if m != nil {
				_, _ = w.Write(append(m.raw, "\r\n\r\n"...)) // malformed: the calls see it to its end, and count it
			}
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				l.s.log.Debug("conversation: SIP channel ends", "peer", l.peer.Account, "error", err)
			}
			if errors.Is(err, mux.ErrBeacon) {
				l.s.swarm.Lost(peerOf(l.peer))
			}
			break
		}
		if !l.take(m) {
			_, _ = w.Write(m.raw) // without calls, or when they gave up, it goes nowhere
		}
	}
	l.end()
	w.Close()
	l.ch.Close()
	l.s.mu.Lock()
	if l.s.links[l.peer.Device.Long] == l {
		delete(l.s.links, l.peer.Device.Long)
	}
	l.s.mu.Unlock()
}

// end fails those who wait for answers.
func (l *sipLink) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, ch := range l.awaited {
		close(ch)
	}
	clear(l.awaited)
}

// sipMessage is one message of the stream.
type sipMessage struct {
	raw    []byte
	first  string
	header textproto.MIMEHeader
	body   []byte
}

var errSIP = errors.New("malformed SIP message")

// readSIP reads one message; its length is in its header (RFC 3261 section 18.3). Of a
// malformed one it returns what it has read beside the error.
func readSIP(r *bufio.Reader) (*sipMessage, error) {
	var m sipMessage
	length := -1
	for {
		line, err := r.ReadSlice('\n')
		m.raw = append(m.raw, line...)
		if len(m.raw) > maxSIP {
			return &m, fmt.Errorf("%w: header too long", errSIP)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return nil, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		if m.first == "" {
			if m.first = text; text == "" {
				m.raw = m.raw[:0] // blank lines between messages keep the channel alive (section 7.5)
			}
			continue
		}
		if text == "" {
			break
		}
		key, val, _ := strings.Cut(text, ":")
		switch key = strings.ToLower(strings.TrimSpace(key)); key {
		case "content-length", "l":
			n, err := strconv.Atoi(strings.TrimSpace(val))
			if err != nil || n < 0 || n > maxSIP || length >= 0 {
				return &m, fmt.Errorf("%w: length %.20q", errSIP, val)
			}
			length = n
		}
	}
	if length < 0 {
		return &m, fmt.Errorf("%w: no length", errSIP)
	}
	head := len(m.raw)
	m.raw = append(m.raw, make([]byte, length)...)
	if _, err := io.ReadFull(r, m.raw[head:]); err != nil {
		return nil, fmt.Errorf("%w: %w", errSIP, err)
	}
	m.body = m.raw[head:]
	_, rest, _ := bytes.Cut(m.raw[:head], []byte("\n"))
	m.header, _ = textproto.NewReader(bufio.NewReader(bytes.NewReader(rest))).ReadMIMEHeader() // what is odd is the calls' business
	return &m, nil
}

func (m *sipMessage) get(long, short string) string {
	if v := m.header.Get(long); v != "" {
		return v
	}
	return m.header.Get(short)
}

// ours are the types that belong to conversations.
var ours = map[string]bool{
	"application/im-gitmessage-id": true, "application/invite+json": true, "application/invite": true,
	"application/im-iscomposing+xml": true, "message/imdn+xml": true,
}

// take handles what belongs to conversations, and reports whether it did.
func (l *sipLink) take(m *sipMessage) bool {
	if status, ok := strings.CutPrefix(m.first, "SIP/2.0 "); ok {
		code, _, _ := strings.Cut(status, " ")
		n, err := strconv.Atoi(code)
		l.mu.Lock()
		defer l.mu.Unlock()
		id := m.get("Call-ID", "i")
		ch := l.awaited[id]
		if ch == nil || err != nil {
			return false
		}
		if n >= 200 {
			delete(l.awaited, id)
			ch <- n // has room for it
		}
		return true
	}
	mime, _, _ := strings.Cut(m.get("Content-Type", "c"), ";")
	mime = strings.ToLower(strings.TrimSpace(mime))
	inDialog := strings.Contains(m.get("To", "t"), ";tag=")
	if !strings.HasPrefix(m.first, "MESSAGE ") || !ours[mime] || inDialog {
		return false
	}
	l.answer(m)
	l.s.swarm.Message(peerOf(l.peer), mime, m.body)
	return true
}

// answer says 200: after anything else a daemon closes the channel.
func (l *sipLink) answer(m *sipMessage) {
	var b bytes.Buffer
	b.WriteString("SIP/2.0 200 OK\r\n")
	for line := range strings.SplitSeq(string(m.raw[:len(m.raw)-len(m.body)]), "\n") {
		line = strings.TrimRight(line, "\r")
		key, _, _ := strings.Cut(line, ":")
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "to", "t":
			b.WriteString(line + ";tag=" + token() + "\r\n")
		case "via", "v", "from", "f", "call-id", "i", "cseq":
			b.WriteString(line + "\r\n")
		}
	}
	b.WriteString("Content-Length: 0\r\n\r\n")
	if err := l.write(b.Bytes()); err != nil {
		l.ch.Close()
	}
}

func (l *sipLink) write(b []byte) error {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	if err := l.ch.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := l.ch.Write(b)
	return err
}

// token is a random word.
func token() string {
	var b [12]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// send gives the device a message and waits for the answer.
func (l *sipLink) send(ctx context.Context, mime string, body []byte) error {
	select {
	case <-l.ready:
	case <-ctx.Done():
		return fmt.Errorf("conversation: message: %w", ctx.Err())
	}
	status, err := l.ask(ctx, "MESSAGE", mime, body)
	if err == nil && status >= 300 {
		err = fmt.Errorf("conversation: message answered with %d", status)
	}
	return err
}

// ask sends a request and returns the status of the answer.
func (l *sipLink) ask(ctx context.Context, method, mime string, body []byte) (int, error) {
	host, port := "127.0.0.1", "5061" // only decoration on a channel
	if h, p, err := net.SplitHostPort(l.ch.RemoteAddr().String()); err == nil {
		host, port = h, p
	}
	local := l.ch.LocalAddr().String()
	id, account := token(), l.s.account.ID().String()
	name := strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, l.s.account.DisplayName())
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s sips:%s@%s;transport=tls SIP/2.0\r\n", method, l.peer.Account, net.JoinHostPort(host, port))
	fmt.Fprintf(&b, "Via: SIP/2.0/TLS %s;rport;branch=z9hG4bK%s;alias\r\nMax-Forwards: 70\r\n", local, token())
	fmt.Fprintf(&b, "From: \"%s\" <sip:%s@ring.dht>;tag=%s\r\nTo: <sips:%s@%s>\r\n", name, account, token(), l.peer.Account, host)
	fmt.Fprintf(&b, "Call-ID: %s\r\nCSeq: 1 %s\r\nDate: %s\r\nMessage-ID: %s\r\n", id, method, time.Now().UTC().Format(time.ANSIC), token()[:16])
	b.WriteString("User-Agent: Jami Daemon 13.10.0 (rendezvous)\r\n")
	if mime != "" {
		fmt.Fprintf(&b, "Content-Type: %s\r\n", mime)
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	answer := make(chan int, 1)
	l.mu.Lock()
	if l.closed || len(l.awaited) >= maxAwaited {
		l.mu.Unlock()
		return 0, errors.New("conversation: the SIP channel is closed, or nobody answers on it")
	}
	l.awaited[id] = answer
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.awaited, id)
		l.mu.Unlock()
	}()
	if err := l.write(b.Bytes()); err != nil {
		return 0, fmt.Errorf("conversation: %s: %w", method, err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	select {
	case status, ok := <-answer:
		if !ok {
			return 0, net.ErrClosed
		}
		return status, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("conversation: %s: %w", method, ctx.Err())
	}
}
