package sip

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// What is made readable says the same, to its last byte after the head, and stays as it is when it is made readable
// again, unless a quoted string loses its end with a parameter of the Via.
func FuzzReadable(f *testing.F) {
	f.Add([]byte("INVITE sip:demo@h SIP/2.0\r\nVia: SIP / 2.0 / UDP h:5060 ; received=x, SIP/2.0/TCP i\r\nf: \"a ; \\\" b\"  <sip:a@b ; c>\r\n  ; tag = 1\r\n" +
		"cseq: 1 \t INVITE\r\nl : 3\r\n\r\n a "))
	f.Add([]byte("BYE sip:demo@h SIP/2.0\r\nv: SIP/2.0/UDP h\r\nFrom: <sip:a@b>\r\nCSeq: 1 BYE\r\n\r\n"))
	f.Add([]byte("SIP/2.0 200 OK\r\nContact: <sip:a@b> , \"\r\n\r\n"))
	source := netip.MustParseAddr("2001:db8::1")
	f.Fuzz(func(t *testing.T, message []byte) {
		once := readable(message, source)
		if twice := readable(once, source); !bytes.Equal(once, twice) && !bytes.ContainsAny(message, "\"<") {
			t.Fatalf("%q, then %q", once, twice)
		}
		head, body, whole := bytes.Cut(message, []byte(endOfHead))
		made, rest, _ := bytes.Cut(once, []byte(endOfHead))
		start, _, _ := bytes.Cut(head, []byte("\r\n"))
		if whole && (!bytes.HasPrefix(made, start) || !bytes.Equal(body, rest)) || len(made) > len(head)+100 {
			t.Fatalf("%q became %q", message, once)
		}
		h := headOf(message)
		h.contentLength()
	})
}

func TestSqueezed(t *testing.T) {
	for in, want := range map[string]string{
		"SIP  /   2.0 /UDP  \t h : 5060 ;\t branch =  x  , SIP/2.0/TCP i": "SIP/2.0/UDP h:5060;branch=x,SIP/2.0/TCP i",
		`"a  \"  ; b"   <sip:a@b ; c>  ;  tag  =  1`:                      `"a  \"  ; b" <sip:a@b ; c>;tag=1`,
		`a  b <sip:c>`:   `a b <sip:c>`,
		`"a  ;  b <sip>`: `"a  ;  b <sip>`,
		"":               "",
	} {
		if got := squeezed(in, separators["via"]); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// A request says where it comes from, whatever it says, and that it is the same when it is repeated.
func TestStamp(t *testing.T) {
	via := func(message string) *sip.ViaHeader {
		m, err := sip.ParseMessage(readable([]byte(strings.ReplaceAll(message, "\n", "\r\n")), netip.MustParseAddr("192.0.2.7")))
		if err != nil {
			t.Fatal(err)
		}
		return m.Via()
	}
	branch := func(v *sip.ViaHeader) string { b, _ := v.Params.Get("branch"); return b }
	const old = "INVITE sip:a@b SIP/2.0\nVia: SIP/2.0/UDP h;received=198.51.100.1\nFrom: <sip:c@d>\nTo: <sip:a@b>\nCall-ID: 1\nCSeq: 5 INVITE\nl: 0\n\n"
	v := via(old)
	if from, _ := v.Params.Get("received"); from != "192.0.2.7" || v.Host != "h" {
		t.Errorf("the Via is %v", v)
	}
	if b := branch(v); !strings.HasPrefix(b, "z9hG4bK") || len(b) < 20 || b != branch(via(old)) || b != branch(via(strings.ReplaceAll(old, "INVITE", "ACK"))) {
		t.Errorf("the branch is %q", b)
	}
	if branch(v) == branch(via(strings.ReplaceAll(old, "5 INVITE", "6 INVITE"))) {
		t.Error("two requests have one branch")
	}
	for _, own := range []string{"Via: SIP/2.0/UDP h;branch=x", "Via: SIP/2.0/UDP h;branch=z9hG4bKx"} {
		if b := branch(via(strings.Replace(old, "Via: SIP/2.0/UDP h", own, 1))); b != "x" && b != "z9hG4bKx" {
			t.Errorf("%s got the branch %q", own, b)
		}
	}
	if b := branch(via(strings.Replace(old, "<sip:c@d>", "<sip:c@d>;tag=1", 1))); b != "" {
		t.Errorf("with a tag, the branch is %q", b)
	}
}
