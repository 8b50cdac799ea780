package conversation

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
)

const captured = "MESSAGE sips:5e652a33b9d51b8792ea779b95f8be1cac8f108a@10.77.0.13:48349;transport=tls SIP/2.0\r\n" +
	"Via: SIP/2.0/TLS 10.77.0.12:58656;rport;branch=z9hG4bKPje258377b;alias\r\n" +
	"From: \"bob\" <sip:8c47@ring.dht>;tag=0e80\r\nTo: <sips:5e65@10.77.0.13>\r\nCall-ID: 0e67\r\nCSeq: 34946 MESSAGE\r\n" +
	"Content-Type: application/im-gitmessage-id\r\nContent-Length:   4\r\n\r\n{\n}\n"

func TestReadSIP(t *testing.T) {
	r := bufio.NewReader(strings.NewReader("\r\n\r\n" + captured + captured))
	for range 2 {
		m, err := readSIP(r)
		if err != nil || string(m.raw) != captured || string(m.body) != "{\n}\n" || m.get("Content-Type", "c") != "application/im-gitmessage-id" {
			t.Errorf("%+v, %v", m, err)
		}
	}
	if _, err := readSIP(r); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	for name, bad := range map[string]string{
		"no length":     "MESSAGE x SIP/2.0\r\nTo: x\r\n\r\n",
		"two lengths":   "MESSAGE x SIP/2.0\r\nContent-Length: 0\r\nl: 0\r\n\r\n",
		"negative":      "MESSAGE x SIP/2.0\r\nContent-Length: -1\r\n\r\n",
		"too long":      "MESSAGE x SIP/2.0\r\nContent-Length: 99999999\r\n\r\n",
		"endless":       strings.Repeat("x", maxSIP+1),
		"endless lines": "x\r\n" + strings.Repeat("x: y\r\n", maxSIP/6+1),
		"cut off":       "MESSAGE x SIP/2.0\r\nContent-Length: 9\r\n\r\nx",
	} {
		if _, err := readSIP(bufio.NewReader(strings.NewReader(bad))); !errors.Is(err, errSIP) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is not about conversations passes unchanged, both ways.
func TestCallsPass(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	invite := "INVITE sips:x SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 3\r\n\r\nv=0"
	text := strings.Replace(strings.Replace(captured, "application/im-gitmessage-id", "text/plain", 1), "MESSAGE sips", "MESSAGE sip", 1)
	got := make(chan string, 1)
	l := &sipLink{s: &Service{cfg: Config{}}, ch: near, awaited: map[string]chan int{}}
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, len(invite)+len(text))
		io.ReadFull(forCalls{near, l, r}, b)
		got <- string(b)
	}()
	for _, raw := range []string{invite, text} {
		m, err := readSIP(bufio.NewReader(strings.NewReader(raw)))
		if err != nil || l.take(m) {
			t.Fatalf("%q is kept from the calls, %v", raw, err)
		}
		if _, err := w.Write(m.raw); err != nil {
			t.Fatal(err)
		}
	}
	if s := <-got; s != invite+text {
		t.Errorf("the calls get %q", s)
	}
	<-done
}

func TestMsgAndFind(t *testing.T) {
	b := packMsg(7, "application/x", []byte("hello"))
	mime, body, used, err := parseMsg(append(bytes.Clone(b), b...))
	if err != nil || mime != "application/x" || string(body) != "hello" || used != len(b) {
		t.Error(mime, body, used, err)
	}
	if _, _, _, err := parseMsg(b[:len(b)-1]); !errors.Is(err, msgpack.ErrTruncated) {
		t.Error(err)
	}
	// A request as newer daemons write it (spec/swarm.md section 11).
	f := msgpack.AppendMap(nil, 3)
	f = msgpack.AppendInt(msgpack.AppendString(f, "v"), 3)
	f = msgpack.AppendMap(msgpack.AppendString(f, "request"), 3)
	f = msgpack.AppendInt(msgpack.AppendString(f, "q"), 1)
	f = msgpack.AppendInt(msgpack.AppendString(f, "num"), 2)
	f = msgpack.AppendBytes(msgpack.AppendString(f, "nodeId"), make([]byte, 32))
	f = msgpack.AppendNil(msgpack.AppendString(f, "response"))
	if num, used, err := parseFind(f); num != 2 || used != len(f) || err != nil {
		t.Error(num, used, err)
	}
	if num, used, err := parseFind(packFound([]value.LongID{{1}})); num != 0 || used == 0 || err != nil {
		t.Error(num, used, err)
	}
}

func FuzzParsers(f *testing.F) {
	f.Add([]byte(captured))
	f.Add(packMsg(1, "text/plain", []byte("x")))
	f.Add(packFound([]value.LongID{{1}, {2}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := readSIP(bufio.NewReader(bytes.NewReader(b))); err == nil && len(m.raw) > 2*maxSIP {
			t.Error("too long")
		}
		_, _, _, _ = parseMsg(b)
		_, _, _ = parseFind(b)
	})
}
