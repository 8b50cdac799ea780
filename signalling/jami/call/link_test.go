package call

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/pion/rtp"
	"github.com/pion/stun"

	"rendezvous/conference"
	"rendezvous/dht/value"
	"rendezvous/internal/eventually"
	"rendezvous/mixer/leg"
	"rendezvous/signalling/jami/connection"
	"rendezvous/signalling/jami/sipchannel"
	"rendezvous/signalling/sdes"
)

func request(t *testing.T, text string) *sip.Request {
	t.Helper()
	m, err := sip.NewParser().ParseSIP([]byte(strings.ReplaceAll(text, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*sip.Request)
}

const requestHead = `MESSAGE sips:x@10.0.0.1 SIP/2.0
Via: SIP/2.0/TLS 10.0.0.2;branch=z9hG4bK1
From: "bob" <sip:b@ring.dht>;tag=f
To: <sips:a@10.0.0.1>;tag=t
Call-ID: c
CSeq: 2 MESSAGE
`

func TestTexts(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"plain", "Content-Type: text/plain\nContent-Length: 5\n\nhello", []string{"hello"}},
		{"with parameters", "Content-Type: text/plain;charset=utf-8\nContent-Length: 5\n\nhello", []string{"hello"}},
		{"card in pieces", "Content-Type: x-ring/ring.profile.vcard;id=1;part=1;of=2\nContent-Length: 5\n\nBEGIN", nil},
		{"several parts", "Content-Type: multipart/mixed;boundary=xx\nContent-Length: 116\n\n--xx\nContent-Type: text/plain\n\nhello\n--xx\nContent-Type: x-ring/ring.profile.vcard;id=1\n\nBEGIN\n--xx--\n", []string{"hello"}},
		{"no boundary", "Content-Type: multipart/mixed\nContent-Length: 2\n\nab", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			head, body, _ := strings.Cut(tt.text, "\n\n")
			body = strings.ReplaceAll(body, "\n", "\r\n")
			head, _, _ = strings.Cut(head, "\nContent-Length")
			r := request(t, requestHead+head+"\nContent-Length: 0\n\n")
			r.SetBody([]byte(body))
			if got := textsOf(r); strings.Join(got, "|") != strings.Join(tt.want, "|") {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestPieces(t *testing.T) {
	long := strings.Repeat("é", 5000)
	got := pieces(long)
	if strings.Join(got, "") != long || len(got) != 3 {
		t.Errorf("%d pieces", len(got))
	}
	for _, p := range got {
		if len(p) > textPiece || strings.ContainsRune(p, '�') {
			t.Errorf("a piece of %d bytes", len(p))
		}
	}
	if got := pieces(""); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestKeys(t *testing.T) {
	for body, want := range map[string]rune{"Signal=5\r\nDuration=250\r\n": '5', "Signal= 11\r\nDuration=250": '#', "signal=*": '*'} {
		if got, ok := parseKey(body); !ok || got != want {
			t.Errorf("%q is read as %q, %v", body, got, ok)
		}
	}
	for _, body := range []string{"", "Signal=16\r\n", "Duration=5", "Signal=xx"} {
		if got, ok := parseKey(body); ok {
			t.Errorf("%q is read as %q", body, got)
		}
	}
}

func TestForUs(t *testing.T) {
	a, d := strings.Repeat("a", 40), strings.Repeat("d", 64)
	for user, want := range map[string]bool{
		"": true, a: true, strings.ToUpper(a): true, strings.Repeat("b", 40): false,
		"conv/" + a + "/" + d + "/0": true, "conv/" + a + "/" + d + "/123": true,
		"conv/" + a + "/other/0": false, "conv/b/" + d + "/0": false, "a/b": false,
	} {
		if forUs(user, a, d) != want {
			t.Errorf("%q: %v", user, !want)
		}
	}
	m, err := sip.NewParser().ParseSIP([]byte("INVITE sips:10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 10.0.0.2;branch=z9hG4bK1\r\nFrom: <sip:b@ring.dht>;tag=f\r\nTo: <sips:c9/" +
		a + "/" + d + "/65@10.0.0.1>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if user := m.To().Address.User; !forUs(user, a, d) {
		t.Errorf("the user of a call to a conversation's conference is read as %q", user)
	}
}

// A server that gives no answer costs a caller little time.
func TestGatherDoesWithoutDeadServers(t *testing.T) {
	silent, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	u, err := parseICEServer("stun:" + silent.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s, err := newICESession(t.Context(), []int{1, 2}, iceConfig{Servers: []*stun.URI{u}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("gathered after %v", d)
	}
	if len(s.components[0].lines()) == 0 {
		t.Error("no candidates")
	}
}

func TestSharedComponentsAreRefused(t *testing.T) {
	body := "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n" +
		"m=audio 9 RTP/SAVP 0\r\na=candidate:H1 1 UDP 1 10.0.0.1 9 typ host\r\nm=video 9 RTP/SAVP 96\r\na=candidate:H1 2 UDP 1 10.0.0.1 9 typ host\r\n"
	if _, err := parseDescription([]byte(body)); err == nil {
		t.Error("two media on one component were taken")
	}
}

// Closing a medium ends its readers although nothing comes on its paths.
func TestClosingAPipeEndsItsReaders(t *testing.T) {
	e := newEndpoint()
	a, aFar := net.Pipe()
	b, bFar := net.Pipe()
	defer aFar.Close()
	defer bFar.Close()
	if err := e.use(a, b, sdes.New(1, sdes.AES128CM80)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := e.ReadRTP(make([]byte, 1500)); ended <- err }()
	e.OnRTCP(func([]byte) {})
	time.Sleep(10 * time.Millisecond) // so that they are reading, mostly
	e.close()                         // waits for who listens to RTCP
	select {
	case err := <-ended:
		if err == nil {
			t.Error("read something")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a reader goes on after its pipe was closed")
	}
	if err := e.use(a, b, sdes.New(1, sdes.AES128CM80)); err == nil {
		t.Error("a closed pipe takes connections")
	}
}

// The eight bytes that Jami receivers look for, and the time in them.
func TestSendTime(t *testing.T) {
	p := newPipe()
	in := append([]byte{0x80, 0xe0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3}, "payload"...)
	out := p.stampTime(in, p.began.Add(65_500*time.Millisecond)) // 1.5 s after 64
	want := append([]byte{0x90, 0xe0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 1, 0x32, 0x06, 0, 0}, "payload"...)
	if !bytes.Equal(out, want) {
		t.Errorf("% x\nwant % x", out, want)
	}
	var r rtp.Packet
	if err := r.Unmarshal(out); err != nil || string(r.Payload) != "payload" || !bytes.Equal(r.GetExtension(3), []byte{6, 0, 0}) {
		t.Errorf("read as %v, %v", r, err)
	}
	if n := testing.AllocsPerRun(100, func() { p.stampTime(in, p.began) }); n > 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// wire is the far end of a SIP channel in a test.
type wire struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// send writes a message, given with plain newlines, and its length.
func (w *wire) send(head, body string) {
	w.t.Helper()
	head = strings.ReplaceAll(strings.TrimRight(head, "\n"), "\n", "\r\n")
	fmt.Fprintf(w.conn, "%s\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body)
}

// status reads responses up to a final one, and returns its code.
func (w *wire) status() (code int) {
	w.t.Helper()
	for {
		_ = w.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		line, err := w.in.ReadString('\n')
		if err != nil {
			w.t.Fatalf("no answer: %v", err)
		}
		var length int
		isResponse, _ := fmt.Sscanf(line, "SIP/2.0 %d", &code)
		for {
			h, err := w.in.ReadString('\n')
			if err != nil {
				w.t.Fatal(err)
			}
			if h = strings.TrimSpace(h); h == "" {
				break
			}
			if name, value, _ := strings.Cut(h, ":"); strings.EqualFold(name, "Content-Length") {
				fmt.Sscan(value, &length)
			}
		}
		if _, err := io.CopyN(io.Discard, w.in, int64(length)); err != nil {
			w.t.Fatal(err)
		}
		if isResponse == 1 && code >= 200 {
			return code
		}
	}
}

// exchange gives a server the requests of channels.
func exchange(s *Server) *sipchannel.Exchange {
	x := sipchannel.New(sipchannel.Config{Account: s.cfg.Account})
	x.OnRequest(s.Receive)
	x.OnEnd(s.Ended)
	return x
}

// caller is who calls on the channels of these tests.
func caller(t *testing.T) connection.Peer {
	t.Helper()
	id, err := value.ParseKey(strings.Repeat("b", 40))
	if err != nil {
		t.Fatal(err)
	}
	return connection.Peer{Account: id}
}

// newWire returns a channel to a server whose room takes nobody in.
func newWire(t *testing.T) (*wire, *Server) {
	t.Helper()
	s, err := NewServer(Config{Log: slog.New(slog.DiscardHandler), Account: strings.Repeat("a", 40), Device: strings.Repeat("d", 64),
		Join: func(context.Context, conference.Caller, *leg.Leg, conference.Listener) (*conference.Member, error) {
			return nil, &conference.Refusal{Code: conference.RefusedLocked, Text: "locked"}
		}})
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	x := exchange(s)
	served := make(chan struct{})
	go func() { defer close(served); x.Serve(caller(t), near) }()
	t.Cleanup(func() { far.Close(); s.Close(); x.Close(); <-served })
	return &wire{t, far, bufio.NewReader(far)}, s
}

const inviteHead = `INVITE sips:10.0.0.1 SIP/2.0
Via: SIP/2.0/TLS 10.0.0.2;branch=z9hG4bKB
From: "bob" <sip:FROM@ring.dht>;tag=f
To: <sips:TO@10.0.0.1>
Call-ID: CALL
CSeq: 1 INVITE
Contact: <sips:x@10.0.0.2>
`

func TestInvitesAreChecked(t *testing.T) {
	a, b := strings.Repeat("a", 40), strings.Repeat("b", 40)
	offer := "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n" +
		"m=audio 9 RTP/SAVP 0\r\na=sendrecv\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5\r\n"
	tests := []struct {
		name, from, to, more, body string
		want                       int
	}{
		{"from somebody else", a, a, "", offer, 403},
		{"to somebody else", b, b, "", offer, 404},
		{"to another device's conference", b, "c/" + a + "/" + b + "/0", "", offer, 404},
		{"no description", b, a, "", "", 488},
		{"rubbish", b, a, "Content-Type: application/sdp\n", "rubbish", 400},
		{"no media we know", b, a, "", strings.ReplaceAll(offer, "audio", "text"), 488},
		{"no key", b, a, "", strings.ReplaceAll(offer, "AES_CM", "XOR"), 488},
		{"a key with an identifier", b, a, "", strings.ReplaceAll(offer, "Nzg5\r\n", "Nzg5|2^20|1:4\r\n"), 488},
		{"media without encryption", b, a, "", strings.ReplaceAll(offer, "Nzg5\r\n", "Nzg5 UNENCRYPTED_SRTP\r\n"), 488},
		{"no media at all", b, a, "", offer[:strings.Index(offer, "m=")], 488},
		{"too many media", b, a, "", offer + strings.Repeat("m=audio 0 RTP/SAVP 0\r\n", maxMedia), 400},
		{"to a group of addresses", b, a, "", strings.ReplaceAll(offer, "c=IN IP4 10.0.0.1", "c=IN IP4 224.0.0.1"), 400},
		{"media that we do not know beside", b, a, "", offer + "m=image 9 udptl t38\r\n", 403},
		{"a profile with feedback", b, a, "", strings.ReplaceAll(offer, "RTP/SAVP", "RTP/SAVPF"), 403},
		{"no ICE", b, a, "", strings.ReplaceAll(offer, "ice-ufrag", "x"), 488},
		{"replaces nothing", b, a, "Replaces: none;to-tag=1;from-tag=2\n", offer, 481},
		{"bad replaces", b, a, "Replaces: none\n", offer, 400},
		{"refused by the room", b, a, "Content-Type: application/sdp\n", offer, 403},
		{"to a conference of ours", b, "c/" + a + "/" + strings.Repeat("d", 64) + "/0", "", offer, 403},
	}
	w, s := newWire(t)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			head := strings.NewReplacer("FROM", tt.from, "TO", tt.to, "CALL", fmt.Sprint("c", i), "bKB", fmt.Sprint("bK", i)).Replace(inviteHead)
			w.send(head+tt.more, tt.body)
			if got := w.status(); got != tt.want {
				t.Errorf("answered %d, want %d", got, tt.want)
			}
			w.send(strings.NewReplacer("INVITE", "ACK").Replace(head), "")
		})
	}
	w.t = t
	for method, want := range map[string]int{"BYE": 481, "OPTIONS": 200, "NONSENSE": 481} {
		w.send(strings.NewReplacer("INVITE", method, "CALL", "other", "FROM", b, "TO", a).Replace(inviteHead), "")
		if got := w.status(); got != want {
			t.Errorf("%s is answered %d, want %d", method, got, want)
		}
	}
	// A call is taken apart after its answer has been sent.
	eventually.True(t, "one call is left", func() bool { return s.Calls() <= 1 })
}

// What is no SIP ends the channel, and only that.
func TestRubbishEndsTheChannel(t *testing.T) {
	for name, rubbish := range map[string]string{
		"no SIP":   "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"no end":   strings.Repeat("x", 70<<10),
		"too long": "MESSAGE sips:x SIP/2.0\r\nContent-Length: 9999999999\r\n\r\n",
		"headers":  "MESSAGE sips:x SIP/2.0\r\n" + strings.Repeat("X: y\r\n", 20_000),
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := newWire(t)
			go io.WriteString(w.conn, rubbish)
			_ = w.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.Copy(io.Discard, w.conn); err != nil {
				t.Errorf("the channel goes on: %v", err)
			}
		})
	}
}

// FuzzChannel feeds a server what a device might send.
func FuzzChannel(f *testing.F) {
	f.Add([]byte(strings.ReplaceAll(requestHead, "\n", "\r\n") + "Content-Length: 0\r\n\r\n"))
	f.Add([]byte(strings.ReplaceAll(inviteHead, "\n", "\r\n") + "Content-Length: 0\r\n\r\n"))
	f.Add([]byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS x;branch=z\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte("BYE sip:x SIP/2.0\r\nContent-Length: -1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := NewServer(Config{Account: "a", Device: "d"})
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		go func() {
			go io.Copy(io.Discard, far)
			far.Write(b)
			far.Close()
		}()
		x := exchange(s)
		x.Serve(caller(t), near)
		s.Close()
		x.Close()
	})
}
