package sip

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

func TestLimiter(t *testing.T) {
	limits := Limits{InvitePerSecond: 2, InviteBurst: 3, OptionsPerSecond: 1, OptionsBurst: 1, OtherPerSecond: 10, OtherBurst: 10, Sources: 4}
	now := time.Unix(1000, 0)
	l := newLimiter(limits, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	count := func(source string, c class, n int) (passed int) {
		for range n {
			if l.allow(netip.MustParseAddr(source), c, now) {
				passed++
			}
		}
		return passed
	}
	if got := count("192.0.2.1", classInvite, 10); got != 3 {
		t.Errorf("burst of %d INVITEs passed, want 3", got)
	}
	if got := count("192.0.2.1", classOptions, 10); got != 1 {
		t.Errorf("%d OPTIONS passed, want 1", got)
	}
	if got := count("192.0.2.2", classInvite, 10); got != 3 {
		t.Errorf("another source had %d, want 3", got)
	}
	if got := count("10.1.2.3", classInvite, 1000); got != 1000 {
		t.Errorf("of a trusted source %d passed", got)
	}
	now = now.Add(time.Second)
	if got := count("192.0.2.1", classInvite, 10); got != 2 {
		t.Errorf("after a second %d passed, want 2", got)
	}
	// Addresses of one IPv6 network are one source.
	if got := count("2001:db8::1", classInvite, 2) + count("2001:db8::2", classInvite, 10); got != 3 {
		t.Errorf("of one /64 network %d passed, want 3", got)
	}
	// A flood from ever new addresses shares one allowance once the table is full.
	passed := 0
	for i := range 1000 {
		passed += count(fmt.Sprintf("198.51.%d.%d", i/256, i%256), classInvite, 1)
	}
	if n := l.byClass[classInvite].Len(); n > limits.Sources || passed > 10 {
		t.Errorf("table of %d sources, %d requests passed", n, passed)
	}
	// Sources that have been quiet make room.
	now = now.Add(time.Minute)
	if got := count("203.0.113.1", classInvite, 10) + count("203.0.113.2", classInvite, 10); got != 6 {
		t.Errorf("of two new sources after a minute of quiet %d passed, want 3 of each: they have to share", got)
	}
}

func TestSelfSignedCertificateIsKept(t *testing.T) {
	dir := t.TempDir()
	cfg := Default()
	cfg.DataDir, cfg.External = dir, "sip.example.org"
	cfg.Log = slog.New(slog.DiscardHandler)
	shown := func() *tls.Certificate {
		get, err := cfg.certificate()
		if err != nil {
			t.Fatal(err)
		}
		cert, err := get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	first := shown()
	if err := first.Leaf.VerifyHostname("sip.example.org"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"sip-key.pem", "sip-cert.pem"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	if !bytes.Equal(first.Certificate[0], shown().Certificate[0]) {
		t.Error("a new certificate was made")
	}
}

// Whatever cannot be parsed gets an answer that can.
func FuzzBadRequest(f *testing.F) {
	f.Add([]byte("INVITE sip:demo@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nf: <sip:a@b>;tag=1\r\nTo: x\r\nCSeq: 1 INVITE\r\ni: y\r\n\r\n"))
	f.Add([]byte("ACK x SIP/2.0\r\nv: SIP/2.0/UDP h\r\n\r\n"))
	from := netip.MustParseAddrPort("192.0.2.1:5060")
	f.Fuzz(func(t *testing.T, b []byte) {
		answer := badRequest(b, from)
		if answer == nil {
			return
		}
		if !bytes.HasPrefix(answer, []byte("SIP/2.0 400 ")) || !bytes.HasSuffix(answer, []byte("\r\n\r\n")) {
			t.Fatalf("answer %q", answer)
		}
		if len(answer) > 3*len(b)+400 {
			t.Fatalf("%d bytes were answered with %d", len(b), len(answer))
		}
	})
}

func FuzzInfoBodies(f *testing.F) {
	f.Add([]byte("Signal=5\r\nDuration=160"))
	f.Add([]byte("*"))
	f.Add([]byte(pictureFastUpdate))
	f.Fuzz(func(t *testing.T, b []byte) {
		for kind, read := range infoBodies {
			m, err := read(b)
			if err == nil && m.key != 0 && !strings.ContainsRune("0123456789*#ABCD", m.key) {
				t.Fatalf("%s gave key %q", kind, m.key)
			}
		}
	})
}

// Every request that sipgo can parse is judged without a crash.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("INVITE sip:demo@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: \"A \\\"B\\\"\" <sip:a@b>;tag=1\r\nTo: <sip:demo@h>\r\nCSeq: 1 INVITE\r\n" +
		"Call-ID: y\r\nContact: <sip:a@192.0.2.1>\r\nRecord-Route: <sip:p1;lr>, <sip:p2;lr>\r\nSupported: timer\r\nSession-Expires: 90;refresher=uac\r\n" +
		"Content-Type: multipart/mixed;boundary=x\r\n\r\n--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--"))
	d := &Door{cfg: Default()}
	f.Fuzz(func(t *testing.T, b []byte) {
		msg, err := sip.ParseMessage(b)
		if err != nil {
			return
		}
		req, ok := msg.(*sip.Request)
		if !ok {
			return
		}
		req.SetTransport("UDP")
		req.SetSource("192.0.2.1:5060")
		d.scanner(req)
		if d.faultOf(req) != nil {
			return
		}
		callerOf(req)
		intervalFault(req, 90*time.Second)
		if _, err := description(req); err == nil && remoteTarget(req) != nil {
			answering(req, &sip.ContactHeader{}).may(sip.INFO)
		}
	})
}

func FuzzResponse(f *testing.F) {
	invite, err := sip.ParseMessage([]byte("INVITE sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:demo@h>;tag=1\r\nTo: <sip:a@192.0.2.1>\r\n" +
		"CSeq: 1 INVITE\r\nCall-ID: y\r\n\r\n"))
	if err != nil {
		f.Fatal(err)
	}
	req := invite.(*sip.Request)
	const head = "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:demo@h>;tag=1\r\nTo: <sip:a@192.0.2.1>;tag=2\r\nCSeq: 1 INVITE\r\nCall-ID: y\r\n"
	f.Add([]byte("SIP/2.0 200 OK\r\n" + head + "Contact: <sip:a@192.0.2.1>\r\nRecord-Route: <sip:p1;lr>, <sip:p2;lr>\r\nAllow: INFO\r\n" +
		"Session-Expires: 90;refresher=uas\r\nServer: x\r\n\r\n"))
	f.Add([]byte("SIP/2.0 401 Unauthorized\r\n" + head + "WWW-Authenticate: Digest realm=\"r\",nonce=\"n\",algorithm=md5,qop=\"auth\"\r\n\r\n"))
	f.Add([]byte("SIP/2.0 407 x\r\n" + head + "Proxy-Authenticate: Digest nonce=\"\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		msg, err := sip.ParseMessage(b)
		if err != nil {
			return
		}
		res, ok := msg.(*sip.Response)
		if !ok {
			return
		}
		(&dialog{}).established(req, res)
		(&sessionTimer{}).settled(res, time.Time{})
		headerValue(res, "User-Agent", "Server")
		if challenged(res) {
			again, err := credentials{"u", "p"}.authorise(req, res)
			if err == nil && again.CSeq().SeqNo != req.CSeq().SeqNo+1 {
				t.Fatalf("asked again with %s", again.CSeq())
			}
		}
	})
}
