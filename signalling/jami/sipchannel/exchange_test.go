package sipchannel

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/connection"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// As captured from a daemon: the length is padded.
const captured = "MESSAGE sips:5e652a33b9d51b8792ea779b95f8be1cac8f108a@10.77.0.13:48349;transport=tls SIP/2.0\r\n" +
	"Via: SIP/2.0/TLS 10.77.0.12:58656;rport;branch=z9hG4bKPje258377b;alias\r\n" +
	"From: \"bob\" <sip:8c47@ring.dht>;tag=0e80\r\nTo: <sips:5e65@10.77.0.13>\r\nCall-ID: 0e67\r\nCSeq: 34946 MESSAGE\r\n" +
	"Content-Type: application/im-gitmessage-id\r\nContent-Length:   4\r\n\r\n{\n}\n"

func device(n byte) connection.Peer {
	p := connection.Peer{Account: value.Key{n}}
	p.Device.Long = value.LongID{n}
	return p
}

// far is a device at the far end of a channel.
type far struct {
	conn net.Conn
	in   *bufio.Reader
}

// next reads one message: its first line and its header.
func (f *far) next(t *testing.T) (string, textproto.MIMEHeader) {
	t.Helper()
	_ = f.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	r := textproto.NewReader(f.in)
	first, err := r.ReadLine()
	if err != nil {
		t.Fatalf("no message: %v", err)
	}
	h, err := r.ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	fmt.Sscan(h.Get("Content-Length"), &n)
	if _, err := io.CopyN(io.Discard, f.in, int64(n)); err != nil {
		t.Fatal(err)
	}
	return first, h
}

// ok answers a request.
func (f *far) answer(t *testing.T, h textproto.MIMEHeader, status string) {
	t.Helper()
	_, err := fmt.Fprintf(f.conn, "SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s;tag=1\r\nCall-ID: %s\r\nCSeq: %s\r\nContent-Length: 0\r\n\r\n",
		status, h.Get("Via"), h.Get("From"), h.Get("To"), h.Get("Call-ID"), h.Get("CSeq"))
	if err != nil {
		t.Fatal(err)
	}
}

type stream struct {
	net.Conn
	peer connection.Peer
}

func (s stream) Peer() connection.Peer { return s.peer }

func serve(t *testing.T, x *Exchange, p connection.Peer) *far {
	t.Helper()
	near, other := net.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); x.Serve(p, near) }()
	t.Cleanup(func() { other.Close(); <-done })
	return &far{other, bufio.NewReader(other)}
}

// What comes is given to those who take it, in their order, and what nobody takes is refused.
func TestRequestsFindTheirTakers(t *testing.T) {
	x := New(Config{Account: strings.Repeat("a", 40)})
	var first, second []string
	x.OnRequest(func(c *Channel, r *sip.Request) bool {
		if r.Method != sip.MESSAGE {
			return false
		}
		first = append(first, string(r.Body()))
		_ = c.Respond(r, 200, "OK", Token(), nil)
		return true
	})
	x.OnRequest(func(c *Channel, r *sip.Request) bool {
		second = append(second, string(r.Method))
		_ = c.Respond(r, 486, "Busy Here", Token(), nil)
		return r.Method == sip.INVITE
	})
	f := serve(t, x, device(1))
	go io.WriteString(f.conn, "\r\n\r\n"+captured+strings.ReplaceAll(captured, "MESSAGE", "INVITE"))
	for _, want := range []string{"SIP/2.0 200 OK", "SIP/2.0 486 Busy Here"} {
		if got, _ := f.next(t); got != want {
			t.Errorf("answered %q, want %q", got, want)
		}
	}
	f.conn.Close()
	x.Close()
	if len(first) != 1 || first[0] != "{\n}\n" || len(second) != 1 || second[0] != "INVITE" {
		t.Errorf("taken: %q and %q", first, second)
	}
}

// A channel is not used for anything before the device has shown that it has set it up, is shared
// by all that comes later, and is left when the device has fallen silent.
func TestChannelsAreSettledAndShared(t *testing.T) {
	p := device(2)
	dialled := make(chan *far, 10)
	x := New(Config{Account: strings.Repeat("a", 40), Dial: func(context.Context, identity.KeyIDs, string) (Stream, error) {
		near, other := net.Pipe()
		t.Cleanup(func() { other.Close() })
		dialled <- &far{other, bufio.NewReader(other)}
		return stream{near, p}, nil
	}})
	defer x.Close()

	type result struct {
		c   *Channel
		err error
	}
	settled := make(chan result, 2)
	for range 2 { // they share what the first opens
		go func() {
			c, err := x.To(t.Context(), p.Device, "videoCall")
			settled <- result{c, err}
		}()
	}
	other := <-dialled
	first, h := other.next(t)
	if !strings.HasPrefix(first, "OPTIONS sips:") {
		t.Errorf("the first request is %q", first)
	}
	select {
	case <-settled:
		t.Error("the channel is in use although the device has not answered")
	case <-time.After(50 * time.Millisecond):
	}
	other.answer(t, h, "200 OK")
	one, two := <-settled, <-settled
	if one.err != nil || one != two || len(dialled) != 0 {
		t.Fatalf("%v and %v", one, two)
	}
	c := one.c
	// From now on it is taken as it is.
	if again, err := x.To(t.Context(), p.Device, "videoCall"); again != c || err != nil {
		t.Errorf("another channel, %v", err)
	}
	sent := make(chan error, 1)
	go func() { sent <- c.Message(t.Context(), "text/plain", []byte("hello")) }()
	first, h = other.next(t)
	if !strings.HasPrefix(first, "MESSAGE sips:"+p.Account.String()+"@") || h.Get("Message-Id") == "" || h.Get("From") == "" {
		t.Errorf("%q %v", first, h)
	}
	other.answer(t, h, "503 Service Unavailable")
	if err := <-sent; !errors.Is(err, ErrStatus) {
		t.Error(err)
	}
	// Silent for long, it is asked again; what cannot answer is replaced.
	longAgo := time.Now().Add(-time.Hour)
	c.heard.Store(&longAgo)
	go func() {
		c, err := x.To(t.Context(), p.Device, "videoCall")
		settled <- result{c, err}
	}()
	if first, _ = other.next(t); !strings.HasPrefix(first, "OPTIONS") {
		t.Errorf("asked by %q", first)
	}
	other.conn.Close()
	other = <-dialled
	_, h = other.next(t)
	other.answer(t, h, "200 OK")
	if r := <-settled; r.err != nil || r.c == c {
		t.Errorf("the dead channel is used, or none: %v", r.err)
	}
	<-c.Context().Done()
}

// What is no SIP ends the channel with a reason, and is counted.
func TestMalformed(t *testing.T) {
	for name, rubbish := range map[string]string{
		"no SIP":        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"no end":        strings.Repeat("x", maxMessage+2),
		"too long":      "MESSAGE sips:x SIP/2.0\r\nContent-Length: 9999999999\r\n\r\n",
		"negative":      "MESSAGE sips:x SIP/2.0\r\nContent-Length: -1\r\n\r\n",
		"endless lines": "MESSAGE sips:x SIP/2.0\r\n" + strings.Repeat("X: y\r\n", 20_000),
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			ended := make(chan error, 1)
			x := New(Config{Malformed: func() { n.Add(1) }})
			x.OnEnd(func(_ connection.Peer, err error) { ended <- err })
			f := serve(t, x, device(3))
			go io.WriteString(f.conn, rubbish)
			if err := <-ended; !errors.Is(err, ErrMalformed) || n.Load() != 1 {
				t.Errorf("%v, %d counted", err, n.Load())
			}
			x.Close()
		})
	}
}

// FuzzChannel feeds an exchange what a device might send.
func FuzzChannel(f *testing.F) {
	f.Add([]byte(captured))
	f.Add([]byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS x;branch=z\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte("BYE sip:x SIP/2.0\r\nContent-Length: -1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		x := New(Config{Account: "a"})
		near, other := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			var read = make(chan struct{})
			go func() { defer close(read); io.Copy(io.Discard, other) }()
			other.Write(b)
			other.Close()
			<-read
		}()
		x.Serve(device(1), near)
		<-done
		x.Close()
	})
}
