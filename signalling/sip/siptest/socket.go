package siptest

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Offer is a session description that the door takes: a telephone with PCMU.
const Offer = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n"

// maxMessage bounds what the door may send at once, bytes.
const maxMessage = 65536

// Socket speaks to the door in its own words, over UDP or TCP. Lines end with a line feed in what
// it takes and hands out, and with CR LF on the wire. It is for one goroutine.
type Socket struct {
	net.Conn

	t         testing.TB
	transport string
	in        *bufio.Reader // holds a whole datagram
	newest    []string      // answer, its lines without the body
	body      string        // of it, as on the wire
}

// Socket opens a socket to the door for a transport, "UDP" or "TCP", that closes with the test.
func (d *Door) Socket(t testing.TB, transport string) *Socket {
	t.Helper()
	return d.SocketTo(t, transport, d.Addr(transport).String())
}

// SocketTo is Socket to an address of a door that listens on several.
func (d *Door) SocketTo(t testing.TB, transport, address string) *Socket {
	t.Helper()
	conn, err := net.Dial(strings.ToLower(transport), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &Socket{Conn: conn, t: t, transport: transport, in: bufio.NewReaderSize(conn, maxMessage)}
}

// Send sends a message.
func (s *Socket) Send(message string) {
	s.t.Helper()
	if _, err := io.WriteString(s, Wire(message)); err != nil {
		s.t.Fatal(err)
	}
}

// Wire is a message as it is sent, each line with its CR LF.
func Wire(message string) string { return strings.ReplaceAll(message, "\n", "\r\n") }

// Answer is the status line of the next answer that is not provisional, "" if none comes in time.
func (s *Socket) Answer(wait time.Duration) string {
	s.t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(wait)); err != nil {
		s.t.Fatal(err)
	}
	for {
		s.newest = s.receive()
		if len(s.newest) == 0 {
			return ""
		}
		if !strings.HasPrefix(s.newest[0], "SIP/2.0 1") {
			return s.newest[0]
		}
	}
}

// receive reads the next message to its end, and returns its lines without the body; nil if none
// comes.
func (s *Socket) receive() (head []string) {
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return nil
		}
		if line = strings.TrimSuffix(line, "\r\n"); line == "" {
			break
		}
		head = append(head, line)
	}
	n, err := strconv.Atoi(header(head, "Content-Length"))
	if err != nil {
		s.t.Fatalf("a message without length: %q", head)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(s.in, body); err != nil {
		return nil
	}
	s.body = string(body)
	return head
}

// Header is the value of a header in the newest answer, "" if there is none.
func (s *Socket) Header(name string) string { return header(s.newest, name) }

// Body is that of the newest answer, with the line ends of the wire.
func (s *Socket) Body() string { return s.body }

// header is the value of a header, "" if there is none.
func header(head []string, name string) string {
	for _, line := range head {
		if k, v, _ := strings.Cut(line, ":"); strings.EqualFold(strings.TrimSpace(k), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Request builds a request whose headers can be replaced or, with an empty value, left out. With a
// body it is a session description.
func (s *Socket) Request(method, uri string, change map[string]string, body string) string {
	_, port, err := net.SplitHostPort(s.LocalAddr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	headers := [][2]string{
		{"Via", fmt.Sprintf("SIP/2.0/%s 127.0.0.1:%s;rport;branch=z9hG4bK%x", s.transport, port, rand.Uint64())},
		{"From", "<sip:odd@127.0.0.1>;tag=1"},
		{"To", "<sip:demo@127.0.0.1>"},
		{"Call-ID", fmt.Sprintf("odd-%x", rand.Uint64())},
		{"CSeq", "1 " + method},
		{"Max-Forwards", "70"},
		{"Contact", fmt.Sprintf("<sip:odd@127.0.0.1:%s;transport=%s>", port, strings.ToLower(s.transport))},
		{"Content-Length", fmt.Sprint(len(Wire(body)))},
	}
	if body != "" {
		headers = append(headers, [2]string{"Content-Type", "application/sdp"})
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s SIP/2.0\n", method, uri)
	for _, h := range headers {
		if v, ok := change[h[0]]; ok {
			delete(change, h[0])
			h[1] = v
		}
		if h[1] != "" {
			fmt.Fprintf(&out, "%s: %s\n", h[0], h[1])
		}
	}
	for k, v := range change {
		fmt.Fprintf(&out, "%s: %s\n", k, v)
	}
	return out.String() + "\n" + body
}
