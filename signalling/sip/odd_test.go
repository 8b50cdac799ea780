package sip_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/eventually"
	"rendezvous/signalling/sip/siptest"
)

type headers = map[string]string

// Messages that are wrong, or right in unusual ways (in the spirit of RFC 4475),
// get the answer that RFC 3261 wants, or none, and do no harm.
func TestOddMessages(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, nil)
	tests := []struct {
		name string
		make func(*siptest.Socket) string
		want string // code of the answer; "" for none
	}{
		{"no From", func(r *siptest.Socket) string {
			return r.Request("INVITE", "sip:demo@h", headers{"From": ""}, siptest.Offer)
		}, "400"},
		{"no To", func(r *siptest.Socket) string { return r.Request("OPTIONS", "sip:demo@h", headers{"To": ""}, "") }, "400"},
		{"no Call-ID", func(r *siptest.Socket) string {
			return r.Request("INVITE", "sip:demo@h", headers{"Call-ID": ""}, siptest.Offer)
		}, "400"},
		{"no CSeq", func(r *siptest.Socket) string {
			return r.Request("INVITE", "sip:demo@h", headers{"CSeq": ""}, siptest.Offer)
		}, "400"},
		{"no Contact", func(r *siptest.Socket) string {
			return r.Request("INVITE", "sip:demo@h", headers{"Contact": ""}, siptest.Offer)
		}, "400"},
		{"no Via", func(r *siptest.Socket) string {
			return r.Request("INVITE", "sip:demo@h", headers{"Via": ""}, siptest.Offer)
		}, "400"},
		{"no Max-Forwards is tolerated", func(r *siptest.Socket) string {
			return r.Request("OPTIONS", "sip:demo@h", headers{"Max-Forwards": ""}, "")
		}, "200"},
		{"Max-Forwards 0 is for proxies", func(r *siptest.Socket) string {
			return r.Request("OPTIONS", "sip:demo@h", headers{"Max-Forwards": "0"}, "")
		}, "200"},
		{"Max-Forwards too large", func(r *siptest.Socket) string {
			return r.Request("OPTIONS", "sip:demo@h", headers{"Max-Forwards": "300"}, "")
		}, "400"},
		{"Max-Forwards not a number", func(r *siptest.Socket) string {
			return r.Request("OPTIONS", "sip:demo@h", headers{"Max-Forwards": "many"}, "")
		}, "400"},
		{"CSeq of another method", func(r *siptest.Socket) string {
			return r.Request("OPTIONS", "sip:demo@h", headers{"CSeq": "1 INVITE"}, "")
		}, "400"},
		{"CSeq too large", func(r *siptest.Socket) string {
			return r.Request("OPTIONS", "sip:demo@h", headers{"CSeq": "36893488147419103232 OPTIONS"}, "")
		}, "400"},
		{"two Call-IDs", func(r *siptest.Socket) string {
			return r.Request("OPTIONS", "sip:demo@h", headers{"Call-ID": "a\nCall-ID: b"}, "")
		}, "400"},
		{"two Froms", func(r *siptest.Socket) string {
			return r.Request("OPTIONS", "sip:demo@h", headers{"From": "<sip:a@b>;tag=1\nFrom: <sip:c@d>;tag=2"}, "")
		}, "400"},
		{"Content-Length beyond the datagram", func(r *siptest.Socket) string {
			return r.Request("INVITE", "sip:demo@h", headers{"Content-Length": "9999"}, siptest.Offer)
		}, "400"},
		{"negative Content-Length", func(r *siptest.Socket) string {
			return r.Request("INVITE", "sip:demo@h", headers{"Content-Length": "-999"}, siptest.Offer)
		}, "400"},
		{"other SIP version", func(r *siptest.Socket) string {
			return strings.Replace(r.Request("OPTIONS", "sip:demo@h", nil, ""), "SIP/2.0\n", "SIP/7.0\n", 1)
		}, "505"},
		{"tel URI", func(r *siptest.Socket) string { return r.Request("OPTIONS", "tel:+4930123", nil, "") }, "416"},
		{"unknown scheme", func(r *siptest.Socket) string {
			return r.Request("OPTIONS", "nobodyKnowsThisScheme:totallyopaque", nil, "")
		}, "416"},
		{"unknown method", func(r *siptest.Socket) string { return r.Request("NEWMETHOD", "sip:demo@h", nil, "") }, "501"},
		{"REGISTER", func(r *siptest.Socket) string { return r.Request("REGISTER", "sip:h", nil, "") }, "405"},
		{"unterminated quote in From", func(r *siptest.Socket) string {
			return r.Request("OPTIONS", "sip:demo@h", headers{"From": "\"Broken <sip:a@b>;tag=1"}, "")
		}, "400"},
		{"spaces in the request line", func(r *siptest.Socket) string {
			return strings.Replace(r.Request("OPTIONS", "sip:demo@h", nil, ""), "sip:demo@h SIP", "sip:demo@h  SIP", 1)
		}, "400"},
		{"URI in brackets", func(r *siptest.Socket) string { return r.Request("OPTIONS", "<sip:demo@h>", nil, "") }, "400"},
		{"compact headers and folding", func(r *siptest.Socket) string {
			port := r.LocalAddr().(*net.UDPAddr).Port
			return fmt.Sprintf("OPTIONS sip:demo@h SIP/2.0\nv: SIP/2.0/UDP 127.0.0.1:%d;rport;branch=z9hG4bKfold\nf: <sip:odd@h>\n ;tag=1\nt:\n <sip:demo@h>\ni: folded\nCSeq: 1\n  OPTIONS\nl: 0\n\n", port)
		}, "200"},
		{"branch of RFC 2543", func(r *siptest.Socket) string {
			port := r.LocalAddr().(*net.UDPAddr).Port
			return r.Request("OPTIONS", "sip:demo@h", headers{"Via": fmt.Sprintf("SIP/2.0/UDP 127.0.0.1:%d;rport", port)}, "")
		}, "200"},
		{"escaped user", func(r *siptest.Socket) string { return r.Request("OPTIONS", "sip:%64emo@h", nil, "") }, "200"},
		{"very long header", func(r *siptest.Socket) string {
			return r.Request("OPTIONS", "sip:demo@h", headers{"X-Long": strings.Repeat("a", 20000)}, "")
		}, "200"},
		{"thousands of headers", func(r *siptest.Socket) string {
			return r.Request("OPTIONS", "sip:demo@h", headers{"X-A": "b" + strings.Repeat("\nX: y", 3000)}, "")
		}, "200"},
		{"control characters", func(r *siptest.Socket) string {
			return r.Request("OPTIONS", "sip:demo@h", headers{"Subject": "\x01\x02\x7f\xff\xfe"}, "")
		}, "200"},
		{"description with multicast", func(r *siptest.Socket) string {
			return r.Request("INVITE", "sip:demo@h", nil, strings.Replace(siptest.Offer, "c=IN IP4 127.0.0.1", "c=IN IP4 224.2.1.1/127", 1))
		}, "400"},
		{"description without media", func(r *siptest.Socket) string {
			return r.Request("INVITE", "sip:demo@h", nil, "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\n")
		}, "488"},
		{"multipart body", func(r *siptest.Socket) string {
			body := "--x\nContent-Type: text/plain\n\nhello\n--x\nContent-Type: application/sdp\n\n" + strings.ReplaceAll(siptest.Offer, "RTP/AVP 0", "RTP/AVP 99") + "\n--x--\n"
			return strings.Replace(r.Request("INVITE", "sip:demo@h", nil, body), "application/sdp", "multipart/mixed;boundary=x", 1)
		}, "488"},
		{"multipart body without boundary", func(r *siptest.Socket) string {
			return strings.Replace(r.Request("INVITE", "sip:demo@h", nil, siptest.Offer), "application/sdp", "multipart/mixed", 1)
		}, "400"},
		{"not SIP", func(*siptest.Socket) string { return "GET / HTTP/1.1\nHost: example.org\n\n" }, ""},
		{"an answer to nothing", func(*siptest.Socket) string {
			return "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKnone\nFrom: <sip:a@b>;tag=1\nTo: <sip:c@d>;tag=2\nCall-ID: x\nCSeq: 1 INVITE\nContent-Length: 0\n\n"
		}, ""},
		{"ACK of nothing", func(r *siptest.Socket) string { return r.Request("ACK", "sip:demo@h", nil, "") }, ""},
		{"broken ACK", func(r *siptest.Socket) string { return r.Request("ACK", "sip:demo@h", headers{"CSeq": "x"}, "") }, ""},
		{"keep-alive", func(*siptest.Socket) string { return "\n\n" }, ""},
		{"zeros", func(*siptest.Socket) string { return strings.Repeat("\x00", 100) }, ""},
		{"scanner", func(r *siptest.Socket) string {
			return r.Request("OPTIONS", "sip:demo@h", headers{"User-Agent": "friendly-scanner"}, "")
		}, ""},
	}
	t.Run("answers", func(t *testing.T) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel() // those that get none take a while
				r := b.Socket(t, "UDP")
				r.Send(test.make(r))
				wait := siptest.Deadline
				if test.want == "" {
					wait = 300 * time.Millisecond
				}
				got := r.Answer(wait)
				if test.want == "" && got != "" || test.want != "" && !strings.HasPrefix(got, "SIP/2.0 "+test.want+" ") {
					t.Errorf("answer is %q, want %q", got, test.want)
				}
			})
		}
	})
	b.Call(t, "UDP", "demo") // still alive and well
}

// The 200 is repeated until the ACK comes (RFC 3261 §13.3.1.4), and CANCEL after it changes nothing.
func TestAnswerIsRepeated(t *testing.T) {
	t.Parallel()
	b := siptest.Open(t, nil)
	r := b.Socket(t, "UDP")
	r.Send(r.Request("INVITE", "sip:demo@h", nil, siptest.Offer))
	for i := range 3 {
		if got := r.Answer(siptest.Deadline); got != "SIP/2.0 200 OK" {
			t.Fatalf("answer %d is %q", i+1, got)
		}
	}
	if n := len(b.Participants(t, "demo")); n != 0 {
		t.Errorf("%d participants before the ACK", n)
	}
	r.Hangup()
}

// A client of RFC 2543 has neither a branch nor a tag nor, in an INVITE, a Contact; its ACK is told from the INVITE by
// nothing but its method.
func TestClientOfRFC2543(t *testing.T) {
	b := siptest.Open(t, nil)
	r := b.Socket(t, "UDP")
	request := func(method, to, body string) string {
		return r.Request(method, "sip:demo@h", headers{"Via": "SIP/2.0/UDP 127.0.0.1;rport", "From": "<sip:veteran@h>", "To": to,
			"Call-ID": "old", "CSeq": "7 " + method, "Contact": "", "Max-Forwards": ""}, body)
	}
	r.Send(request("INVITE", "<sip:demo@h>", siptest.Offer))
	if got := r.Answer(siptest.Deadline); got != "SIP/2.0 200 OK" {
		t.Fatalf("the call is answered with %q", got)
	}
	to := r.Header("To")
	r.Send(request("ACK", to, ""))
	eventually.True(t, "the caller is in the room", func() bool { return slices.Contains(b.Participants(t, "demo"), "veteran") })
	r.Send(strings.Replace(request("BYE", to, ""), "7 BYE", "8 BYE", 1))
	for r.Answer(siptest.Deadline); !strings.HasSuffix(r.Header("CSeq"), "BYE"); r.Answer(siptest.Deadline) {
	}
	eventually.True(t, "the caller is out of the room", func() bool { return len(b.Participants(t, "demo")) == 0 })
}

// Over TCP, a message that cannot be read is answered, and what comes after it too; a ping comes back.
func TestMalformedOverTCP(t *testing.T) {
	b := siptest.Open(t, nil)
	r := b.Socket(t, "TCP")
	good := func(id string) string { return r.Request("OPTIONS", "sip:demo@h", headers{"Call-ID": id}, "") }
	bad := func(id string) string {
		return r.Request("OPTIONS", "sip:demo@h", headers{"Call-ID": id, "CSeq": "x"}, "")
	}
	expect := func(code, id string) {
		t.Helper()
		if got := r.Answer(siptest.Deadline); !strings.HasPrefix(got, "SIP/2.0 "+code) || r.Header("Call-ID") != id {
			t.Fatalf("answer is %q to %q, want %s to %s", got, r.Header("Call-ID"), code, id)
		}
	}
	r.Send(bad("1"))
	expect("400", "1")
	message := siptest.Wire(good("2"))
	for i := range message { // byte by byte
		if _, err := r.Write([]byte(message[i : i+1])); err != nil {
			t.Fatal(err)
		}
	}
	expect("200", "2")
	r.Send(good("3") + "\n" + bad("4") + good("5"))
	var ids []string // answers come from several goroutines
	for range 3 {
		ids = append(ids, r.Answer(siptest.Deadline)[8:11]+" "+r.Header("Call-ID"))
	}
	slices.Sort(ids)
	if want := []string{"200 3", "200 5", "400 4"}; !slices.Equal(ids, want) {
		t.Errorf("answers are %v, want %v", ids, want)
	}
	r.Send("\n\n")
	pong := make([]byte, 2)
	if _, err := io.ReadFull(r, pong); err != nil || string(pong) != "\r\n" {
		t.Errorf("a ping is answered with %q: %v", pong, err)
	}
	r.Send(r.Request("OPTIONS", "sip:demo@h", headers{"Call-ID": "6", "Content-Length": ""}, "")) // whose end nobody knows
	expect("400", "6")
	if err := r.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection goes on: %v", err)
	}
}
