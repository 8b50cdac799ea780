package web

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestParseMessage(t *testing.T) {
	for _, c := range []struct{ in, problem string }{
		{`{"type":"join","room":"lab","name":"Ann"}`, ""},
		{`{"type":"media","mic":true}`, ""},
		{`{"type":"order","n":1,"order":{"action":"hand","on":true}}`, ""},
		{`{"type":"candidate","candidate":{"candidate":"candidate:1 1 udp 1 192.0.2.1 5 typ host","sdpMid":"0"}}`, ""},
		{`{"type":"join"}`, "without room"},
		{`{"type":"resume"}`, "without session"},
		{`{"type":"offer"}`, "without sdp"},
		{`{"type":"candidate"}`, "without candidate"},
		{`{"type":"order","order":{}}`, "without order"},
		{`{"type":"order","order":{"action":"dance"}}`, "no order"},
		{`{"type":"chat"}`, "without text"},
		{`{"type":"chat","text":"` + strings.Repeat("x", 5000) + `"}`, "longer than"},
		{`{"type":"fly"}`, `type "fly"`},
		{`[]`, "cannot unmarshal"},
		{``, "unexpected end"},
	} {
		_, err := parseMessage([]byte(c.in))
		if c.problem == "" && err != nil || c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)) {
			t.Errorf("%.60s: %v, want %q", c.in, err, c.problem)
		}
	}
}

// What a stranger sends is answered, and in the log: in a line, and not all of it.
func TestMessagesAreNotQuotedInFull(t *testing.T) {
	long := strings.Repeat("x", 60<<10)
	for _, in := range []string{
		`{"type":"` + long + `"}`,
		`{"type":"join","room":"lab","from":"` + long + `"}`,
		`{"type":"order","order":{"action":"` + long + `"}}`,
		`{"type":"order","order":{"action":"pin","media":"` + long + `"}}`,
	} {
		if _, err := parseMessage([]byte(in)); err == nil || len(err.Error()) > 300 {
			t.Errorf("%.60s: %.300v", in, err)
		}
	}
}

func TestTrimName(t *testing.T) {
	for in, want := range map[string]string{
		"  Ann  ":                "Ann",
		"Ann\nLee\x00":           "Ann Lee",
		"Ann\u202egnp.exe":       "Ann gnp.exe",
		"李 小龍":                   "李 小龍",
		"عمر":                    "عمر",
		strings.Repeat("界", 100): strings.Repeat("界", 64),
		"":                       "",
		" \u2066\u2069 ":         "",
		"👩‍👩‍👧 family":           "👩‍👩‍👧 family",
	} {
		if got := trimName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestFragments(t *testing.T) {
	f, err := parseFragment("a=ice-ufrag:abcd\r\na=ice-pwd:secret/+1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:7\r\na=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\na=end-of-candidates\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if f.ufrag != "abcd" || f.pwd != "secret/+1" || !f.complete || len(f.candidates) != 1 || *f.candidates[0].SDPMid != "7" ||
		f.candidates[0].Candidate != "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host" {
		t.Errorf("%+v", f)
	}
	for _, bad := range []string{"hello", "a=ice-ufrag:abc", "a=ice-ufrag:a b\na=ice-pwd:x", "a=ice-ufrag:x\na=ice-pwd:\x00", strings.Repeat("a=candidate:1\n", 65)} {
		if _, err := parseFragment(bad); err == nil {
			t.Errorf("%.40q is taken", bad)
		}
	}
	offer := "v=0\r\nm=audio 9 x 0\r\na=ice-ufrag:old\r\na=ice-pwd:oldpwd\r\na=candidate:1\r\na=end-of-candidates\r\nm=video 9 x 0\r\na=ice-ufrag:old\r\na=ice-pwd:oldpwd\r\n"
	want := "v=0\r\nm=audio 9 x 0\r\na=ice-ufrag:new\r\na=ice-pwd:newpwd\r\nm=video 9 x 0\r\na=ice-ufrag:new\r\na=ice-pwd:newpwd\r\n"
	if got := restartOffer(offer, "new", "newpwd"); got != want {
		t.Errorf("restart: %q", got)
	}
	if got, want := answerFragment(offer), "m=audio 9 x 0\r\na=ice-ufrag:old\r\na=ice-pwd:oldpwd\r\na=candidate:1\r\na=end-of-candidates\r\n"; got != want {
		t.Errorf("answer: %q", got)
	}
}

func TestAttempts(t *testing.T) {
	now := time.Unix(0, 0)
	a := newAttempts(3, 10*time.Second, func() time.Time { return now })
	ip := netip.MustParseAddr("2001:db8::1")
	for range 3 {
		if !a.allow(ip) {
			t.Fatal("refused too early")
		}
		a.failed(ip)
	}
	if a.allow(netip.MustParseAddr("2001:db8::ffff")) {
		t.Error("another address of the same /64 may go on")
	}
	if !a.allow(netip.MustParseAddr("2001:db8:1::1")) || !a.allow(netip.Addr{}) {
		t.Error("others are refused")
	}
	now = now.Add(9 * time.Second)
	if a.allow(ip) {
		t.Error("allowed before the refill")
	}
	now = now.Add(time.Second)
	if !a.allow(ip) {
		t.Error("refused after the refill")
	}
	for i := range 2 * maxGuessers {
		a.failed(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if n := a.wrong.Len(); n > maxGuessers {
		t.Errorf("%d addresses are remembered", n)
	}
}

func TestClientIP(t *testing.T) {
	d := &Door{cfg: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	for _, c := range []struct{ remote, forwarded, want string }{
		{"192.0.2.7:1", "", "192.0.2.7"},
		{"192.0.2.7:1", "198.51.100.1", "192.0.2.7"}, // nobody we trust says so
		{"10.0.0.1:1", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1", "203.0.113.9, 198.51.100.1", "198.51.100.1"}, // the first is the client's own invention
		{"10.0.0.1:1", "198.51.100.1, 10.0.0.2", "198.51.100.1"},
		{"10.0.0.1:1", "nonsense", "10.0.0.1"},
		{"[::ffff:192.0.2.7]:1", "", "192.0.2.7"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := d.clientIP(r).String(); got != c.want {
			t.Errorf("%s via %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"type":"join","room":"lab","name":"\u202eA"}`))
	f.Add([]byte(`{"type":"order","n":1,"order":{"action":"mute","targets":["a","b"],"on":true}}`))
	f.Add([]byte(`{"type":"candidate","candidate":{"candidate":"x","sdpMLineIndex":65536}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err == nil && m.Type == msgJoin && len([]rune(m.Name)) > 64 {
			t.Errorf("name of %d characters", len([]rune(m.Name)))
		}
	})
}

func FuzzFragment(f *testing.F) {
	f.Add("a=ice-ufrag:abcd\r\na=ice-pwd:secret\r\nm=audio\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 5 typ host\r\n")
	f.Add("a=candidate\na==\n=\n")
	f.Fuzz(func(t *testing.T, s string) {
		fr, err := parseFragment(s)
		if err != nil {
			return
		}
		out := restartOffer("a=ice-ufrag:x\r\na=ice-pwd:y\r\n", fr.ufrag, fr.pwd)
		if strings.Count(out, "\n") != 2 {
			t.Errorf("credentials break out of their lines: %q", out)
		}
		_ = answerFragment(s)
	})
}

func FuzzJoinToken(f *testing.F) {
	key := []byte("key")
	f.Add(JoinToken{Subject: "a", Expires: 1 << 40}.Sign(key))
	f.Add("a.b.c")
	f.Add("..")
	f.Fuzz(func(t *testing.T, s string) {
		tok, err := parseJoinToken(key, s, "lab", time.Unix(0, 0))
		if err == nil && tok.Sign(key) == "" {
			t.Error("empty")
		}
		if _, err := parseJoinToken([]byte("another key"), s, "lab", time.Unix(0, 0)); err == nil {
			t.Errorf("%q is taken with a key that it was not signed with", s)
		}
	})
}
