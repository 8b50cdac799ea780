package sip

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// raw is a UDP socket that speaks to the door in its own words.
type raw struct {
	*net.UDPConn
	t *testing.T
}

func (b *bench) raw(t *testing.T) raw {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(b.Addr("UDP")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return raw{conn, t}
}

func (r raw) send(message string) {
	r.t.Helper()
	if _, err := r.Write([]byte(strings.ReplaceAll(message, "\n", "\r\n"))); err != nil {
		r.t.Fatal(err)
	}
}

// answer is the status line of the next answer that is not provisional, "" if none comes in time.
func (r raw) answer(wait time.Duration) string {
	r.t.Helper()
	buf := make([]byte, 65536)
	limit := time.Now().Add(wait)
	for {
		r.SetReadDeadline(limit)
		n, err := r.Read(buf)
		if err != nil {
			return ""
		}
		line, _, _ := strings.Cut(string(buf[:n]), "\r\n")
		if !strings.HasPrefix(line, "SIP/2.0 1") {
			return line
		}
	}
}

// request builds a request whose headers can be replaced or, with an empty value, left out.
func (r raw) request(method, uri string, change map[string]string, body string) string {
	port := r.LocalAddr().(*net.UDPAddr).Port
	headers := [][2]string{
		{"Via", fmt.Sprintf("SIP/2.0/UDP 127.0.0.1:%d;rport;branch=z9hG4bK%d", port, time.Now().UnixNano())},
		{"From", "<sip:odd@127.0.0.1>;tag=1"},
		{"To", "<sip:demo@127.0.0.1>"},
		{"Call-ID", fmt.Sprintf("odd-%d", time.Now().UnixNano())},
		{"CSeq", "1 " + method},
		{"Max-Forwards", "70"},
		{"Contact", fmt.Sprintf("<sip:odd@127.0.0.1:%d>", port)},
		{"Content-Length", fmt.Sprint(len(strings.ReplaceAll(body, "\n", "\r\n")))},
	}
	if body != "" {
		headers = append(headers, [2]string{"Content-Type", "application/sdp"})
	}
	out := method + " " + uri + " SIP/2.0\n"
	for _, h := range headers {
		if v, ok := change[h[0]]; ok {
			delete(change, h[0])
			h[1] = v
		}
		if h[1] != "" {
			out += h[0] + ": " + h[1] + "\n"
		}
	}
	for k, v := range change {
		out += k + ": " + v + "\n"
	}
	return out + "\n" + body
}

const oddSDP = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n"

type headers = map[string]string

// Messages that are wrong, or right in unusual ways (in the spirit of RFC 4475),
// get the answer that RFC 3261 wants, or none, and do no harm.
func TestOddMessages(t *testing.T) {
	b := open(t, nil)
	for _, test := range []struct {
		name string
		make func(raw) string
		want string // code of the answer; "" for none
	}{
		{"no From", func(r raw) string { return r.request("INVITE", "sip:demo@h", headers{"From": ""}, oddSDP) }, "400"},
		{"no To", func(r raw) string { return r.request("OPTIONS", "sip:demo@h", headers{"To": ""}, "") }, "400"},
		{"no Call-ID", func(r raw) string { return r.request("INVITE", "sip:demo@h", headers{"Call-ID": ""}, oddSDP) }, "400"},
		{"no CSeq", func(r raw) string { return r.request("INVITE", "sip:demo@h", headers{"CSeq": ""}, oddSDP) }, "400"},
		{"no Contact", func(r raw) string { return r.request("INVITE", "sip:demo@h", headers{"Contact": ""}, oddSDP) }, "400"},
		{"no Via", func(r raw) string { return r.request("INVITE", "sip:demo@h", headers{"Via": ""}, oddSDP) }, "400"},
		{"no Max-Forwards is tolerated", func(r raw) string { return r.request("OPTIONS", "sip:demo@h", headers{"Max-Forwards": ""}, "") }, "200"},
		{"Max-Forwards 0 is for proxies", func(r raw) string { return r.request("OPTIONS", "sip:demo@h", headers{"Max-Forwards": "0"}, "") }, "200"},
		{"Max-Forwards too large", func(r raw) string { return r.request("OPTIONS", "sip:demo@h", headers{"Max-Forwards": "300"}, "") }, "400"},
		{"Max-Forwards not a number", func(r raw) string { return r.request("OPTIONS", "sip:demo@h", headers{"Max-Forwards": "many"}, "") }, "400"},
		{"CSeq of another method", func(r raw) string { return r.request("OPTIONS", "sip:demo@h", headers{"CSeq": "1 INVITE"}, "") }, "400"},
		{"CSeq too large", func(r raw) string {
			return r.request("OPTIONS", "sip:demo@h", headers{"CSeq": "36893488147419103232 OPTIONS"}, "")
		}, "400"},
		{"two Call-IDs", func(r raw) string { return r.request("OPTIONS", "sip:demo@h", headers{"Call-ID": "a\nCall-ID: b"}, "") }, "400"},
		{"two Froms", func(r raw) string {
			return r.request("OPTIONS", "sip:demo@h", headers{"From": "<sip:a@b>;tag=1\nFrom: <sip:c@d>;tag=2"}, "")
		}, "400"},
		{"Content-Length beyond the datagram", func(r raw) string {
			return r.request("INVITE", "sip:demo@h", headers{"Content-Length": "9999"}, oddSDP)
		}, "400"},
		{"negative Content-Length", func(r raw) string {
			return r.request("INVITE", "sip:demo@h", headers{"Content-Length": "-999"}, oddSDP)
		}, "400"},
		{"other SIP version", func(r raw) string {
			return strings.Replace(r.request("OPTIONS", "sip:demo@h", nil, ""), "SIP/2.0\n", "SIP/7.0\n", 1)
		}, "505"},
		{"tel URI", func(r raw) string { return r.request("OPTIONS", "tel:+4930123", nil, "") }, "416"},
		{"unknown scheme", func(r raw) string { return r.request("OPTIONS", "nobodyKnowsThisScheme:totallyopaque", nil, "") }, "416"},
		{"unknown method", func(r raw) string { return r.request("NEWMETHOD", "sip:demo@h", nil, "") }, "501"},
		{"REGISTER", func(r raw) string { return r.request("REGISTER", "sip:h", nil, "") }, "405"},
		{"unterminated quote in From", func(r raw) string {
			return r.request("OPTIONS", "sip:demo@h", headers{"From": "\"Broken <sip:a@b>;tag=1"}, "")
		}, "400"},
		{"spaces in the request line", func(r raw) string {
			return strings.Replace(r.request("OPTIONS", "sip:demo@h", nil, ""), "sip:demo@h SIP", "sip:demo@h  SIP", 1)
		}, "400"},
		{"URI in brackets", func(r raw) string { return r.request("OPTIONS", "<sip:demo@h>", nil, "") }, "400"},
		{"compact headers and folding", func(r raw) string {
			port := r.LocalAddr().(*net.UDPAddr).Port
			return fmt.Sprintf("OPTIONS sip:demo@h SIP/2.0\nv: SIP/2.0/UDP 127.0.0.1:%d;rport;branch=z9hG4bKfold\nf: <sip:odd@h>\n ;tag=1\nt:\n <sip:demo@h>\ni: folded\nCSeq: 1\n  OPTIONS\nl: 0\n\n", port)
		}, "200"},
		{"branch of RFC 2543", func(r raw) string {
			port := r.LocalAddr().(*net.UDPAddr).Port
			return r.request("OPTIONS", "sip:demo@h", headers{"Via": fmt.Sprintf("SIP/2.0/UDP 127.0.0.1:%d;rport", port)}, "")
		}, "200"},
		{"escaped user", func(r raw) string { return r.request("OPTIONS", "sip:%64emo@h", nil, "") }, "200"},
		{"very long header", func(r raw) string {
			return r.request("OPTIONS", "sip:demo@h", headers{"X-Long": strings.Repeat("a", 20000)}, "")
		}, "200"},
		{"thousands of headers", func(r raw) string {
			return r.request("OPTIONS", "sip:demo@h", headers{"X-A": "b" + strings.Repeat("\nX: y", 3000)}, "")
		}, "200"},
		{"control characters", func(r raw) string {
			return r.request("OPTIONS", "sip:demo@h", headers{"Subject": "\x01\x02\x7f\xff\xfe"}, "")
		}, "200"},
		{"description with multicast", func(r raw) string {
			return r.request("INVITE", "sip:demo@h", nil, strings.Replace(oddSDP, "c=IN IP4 127.0.0.1", "c=IN IP4 224.2.1.1/127", 1))
		}, "400"},
		{"description without media", func(r raw) string {
			return r.request("INVITE", "sip:demo@h", nil, "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\n")
		}, "488"},
		{"multipart body", func(r raw) string {
			body := "--x\nContent-Type: text/plain\n\nhello\n--x\nContent-Type: application/sdp\n\n" + strings.ReplaceAll(oddSDP, "RTP/AVP 0", "RTP/AVP 99") + "\n--x--\n"
			return strings.Replace(r.request("INVITE", "sip:demo@h", nil, body), "application/sdp", "multipart/mixed;boundary=x", 1)
		}, "488"},
		{"multipart body without boundary", func(r raw) string {
			return strings.Replace(r.request("INVITE", "sip:demo@h", nil, oddSDP), "application/sdp", "multipart/mixed", 1)
		}, "400"},
		{"not SIP", func(raw) string { return "GET / HTTP/1.1\nHost: example.org\n\n" }, ""},
		{"an answer to nothing", func(raw) string {
			return "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKnone\nFrom: <sip:a@b>;tag=1\nTo: <sip:c@d>;tag=2\nCall-ID: x\nCSeq: 1 INVITE\nContent-Length: 0\n\n"
		}, ""},
		{"ACK of nothing", func(r raw) string { return r.request("ACK", "sip:demo@h", nil, "") }, ""},
		{"broken ACK", func(r raw) string { return r.request("ACK", "sip:demo@h", headers{"CSeq": "x"}, "") }, ""},
		{"keep-alive", func(raw) string { return "\n\n" }, ""},
		{"zeros", func(raw) string { return strings.Repeat("\x00", 100) }, ""},
		{"scanner", func(r raw) string {
			return r.request("OPTIONS", "sip:demo@h", headers{"User-Agent": "friendly-scanner"}, "")
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := b.raw(t)
			r.t = t
			r.send(test.make(r))
			wait := deadline
			if test.want == "" {
				wait = 300 * time.Millisecond
			}
			got := r.answer(wait)
			if test.want == "" && got != "" || test.want != "" && !strings.HasPrefix(got, "SIP/2.0 "+test.want+" ") {
				t.Errorf("answer is %q, want %q", got, test.want)
			}
		})
	}
	b.play(t, "call", "demo", false) // still alive and well
}

// The 200 is repeated until the ACK comes (RFC 3261 §13.3.1.4), and CANCEL after it changes nothing.
func TestAnswerIsRepeated(t *testing.T) {
	b := open(t, nil)
	r := b.raw(t)
	r.send(r.request("INVITE", "sip:demo@h", nil, oddSDP))
	for i := range 3 {
		if got := r.answer(deadline); got != "SIP/2.0 200 OK" {
			t.Fatalf("answer %d is %q", i+1, got)
		}
	}
	if n := len(b.participants(t, "demo")); n != 0 {
		t.Errorf("%d participants before the ACK", n)
	}
}
