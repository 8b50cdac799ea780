package web_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/internal/eventually"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/control"
	"rendezvous/signalling/web/webtest"
)

const offerWithoutICE = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"

func TestHTTP(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab", Title: "Laboratory"}, {ID: "safe", PIN: "1234"}}, func(c *web.Config) {
		c.AllowedOrigins = []string{"https://intranet.example.org"}
		c.ICEServers = []web.ICEServer{{URLs: []string{"stun:stun.example.org"}}, {URLs: []string{"turn:turn.example.org?transport=udp"}, Secret: "s"}}
		c.MaxBody = 8192
		c.PINAttempts = 3
		c.Tokens = []control.Token{{Name: "x", Secret: "0123456789abcdef", Scopes: []control.Scope{control.ReadRooms}}}
	})
	sdp := map[string]string{"Content-Type": "application/sdp"}
	with := func(m map[string]string, kv ...string) map[string]string {
		out := maps.Clone(m)
		for i := 0; i < len(kv); i += 2 {
			out[kv[i]] = kv[i+1]
		}
		return out
	}
	for _, c := range []struct {
		name, method, path, body string
		header                   map[string]string
		status                   int
		has                      map[string]string // headers of the answer; "" must be absent
	}{
		{"landing", "GET", "/", "", nil, 200, map[string]string{"Content-Type": "text/html; charset=utf-8", "Set-Cookie": ""}},
		{"room", "GET", "/r/lab", "", nil, 200, map[string]string{"Content-Type": "text/html; charset=utf-8"}},
		{"script", "GET", "/assets/main.js", "", nil, 200, map[string]string{"Content-Type": "text/javascript; charset=utf-8"}},
		{"no such file", "GET", "/assets/secret.js", "", nil, 404, nil},
		{"not out of the folder", "GET", "/assets/../../config.yaml", "", nil, 307, nil},
		{"nothing else", "GET", "/etc/passwd", "", nil, 404, nil},
		{"about", "GET", "/r/lab/about", "", nil, 200, map[string]string{"Content-Type": "application/json"}},
		{"about nothing", "GET", "/r/nowhere/about", "", nil, 404, nil},
		{"page takes no POST", "POST", "/", "", nil, 405, nil},
		{"whip preflight", "OPTIONS", "/whip/lab", "", map[string]string{"Origin": "https://intranet.example.org"}, 204,
			map[string]string{"Access-Control-Allow-Origin": "https://intranet.example.org", "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS"}},
		{"whip from a strange page", "OPTIONS", "/whip/lab", "", map[string]string{"Origin": "https://evil.example"}, 403, map[string]string{"Access-Control-Allow-Origin": ""}},
		{"whep from a strange page", "POST", "/whep/lab", "v=0", with(sdp, "Origin", "https://evil.example"), 403, nil},
		{"whip wrong type", "POST", "/whip/lab", "v=0", map[string]string{"Content-Type": "text/plain"}, 415, map[string]string{"Accept-Post": "application/sdp"}},
		{"whip not SDP", "POST", "/whip/lab", "hello", sdp, 400, nil},
		{"whip SDP without media", "POST", "/whip/lab", offerWithoutICE, sdp, 422, nil},
		{"whip too large", "POST", "/whip/lab", "v=0" + strings.Repeat("x", 9000), sdp, 413, nil},
		{"whip nowhere", "POST", "/whip/nowhere", "v=0", sdp, 404, nil},
		{"whip GET", "GET", "/whip/lab", "", nil, 405, nil},
		{"whip no such session", "DELETE", "/whip/lab/abc", "", nil, 404, nil},
		{"whip patch no such session", "PATCH", "/whip/lab/abc", "", map[string]string{"Content-Type": "application/trickle-ice-sdpfrag"}, 404, nil},
		{"whip without PIN", "POST", "/whip/safe", "v=0", sdp, 401, map[string]string{"Www-Authenticate": `Bearer realm="room"`}},
		{"whip wrong PIN", "POST", "/whip/safe", "v=0", with(sdp, "Authorization", "Bearer 1"), 401, nil},
		{"whip bad join token", "POST", "/whip/safe", "v=0", with(sdp, "Authorization", "Bearer a.b.c"), 401, nil},
		{"whip wrong PIN again", "POST", "/whip/safe", "v=0", with(sdp, "Authorization", "Bearer 2"), 401, nil},
		{"whip guessed too often", "POST", "/whip/safe", "v=0", with(sdp, "Authorization", "Bearer 1234"), 429, map[string]string{"Retry-After": "60"}},
		{"API guessed too often", "GET", "/api/v1/rooms", "", nil, 429, nil},
		{"recording without a link", "GET", "/rec/lab/1?e=99999999999&k=abc", "", nil, 403, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, body := webtest.Do(t, c.method, h.Door.URL()+c.path, c.body, c.header)
			if resp.StatusCode != c.status {
				t.Errorf("status %d, want %d: %.200s", resp.StatusCode, c.status, body)
			}
			for k, want := range c.has {
				if got := resp.Header.Get(k); got != want {
					t.Errorf("%s: %q, want %q", k, got, want)
				}
			}
			if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("content security policy %q", csp)
			}
			if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Referrer-Policy") != "no-referrer" {
				t.Error("security headers are missing")
			}
		})
	}
	t.Run("a cookie for each browser, out of the scripts' reach", func(t *testing.T) {
		resp, _ := webtest.Do(t, "GET", h.Door.URL()+"/r/lab", "", nil)
		c := resp.Cookies()
		if len(c) != 1 || len(c[0].Value) != 32 || !c[0].HttpOnly || c[0].SameSite != http.SameSiteLaxMode {
			t.Fatalf("cookies: %v", c)
		}
		again, _ := webtest.Do(t, "GET", h.Door.URL()+"/r/lab", "", map[string]string{"Cookie": c[0].Name + "=" + c[0].Value})
		if c2 := again.Cookies(); len(c2) != 1 || c2[0].Value != c[0].Value {
			t.Errorf("the browser is not known again: %v", c2)
		}
	})
	t.Run("unchanged files are not sent again", func(t *testing.T) {
		resp, _ := webtest.Do(t, "GET", h.Door.URL()+"/assets/app.css", "", nil)
		again, body := webtest.Do(t, "GET", h.Door.URL()+"/assets/app.css", "", map[string]string{"If-None-Match": resp.Header.Get("ETag")})
		if again.StatusCode != 304 || body != "" {
			t.Errorf("status %d with %d bytes", again.StatusCode, len(body))
		}
	})
}

// The page refers to nothing elsewhere, and has nothing inline that its policy forbids.
func TestPageIsSelfContained(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab"}}, nil)
	_, index := webtest.Do(t, "GET", h.Door.URL()+"/", "", nil)
	for _, bad := range []string{"style=", "onclick", "<style", "<script>", "//cdn", `src="http`, `href="http`} {
		if strings.Contains(index, bad) {
			t.Errorf("index.html has %q", bad)
		}
	}
	for _, name := range []string{"main", "call", "chat", "devices", "dom", "meeting", "packed", "panel", "people", "prejoin", "quality", "recordings", "roster", "signalling", "words"} {
		resp, js := webtest.Do(t, "GET", h.Door.URL()+"/assets/"+name+".js", "", nil)
		if resp.StatusCode != 200 {
			t.Errorf("%s.js: status %d", name, resp.StatusCode)
		}
		for _, bad := range []string{"innerHTML", "eval(", "new Function", "document.write"} {
			if strings.Contains(js, bad) {
				t.Errorf("%s.js has %q", name, bad)
			}
		}
	}
}

func TestSocketRefusesInWords(t *testing.T) {
	h := webtest.Open(t, []settings.Room{{ID: "lab"}, {ID: "safe", PIN: "1234"}}, func(c *web.Config) { c.PINAttempts = 2; c.MaxMessage = 4096 })
	for _, c := range []struct{ name, first, code string }{
		{"no room", `{"type":"join","room":"nowhere","name":"A"}`, "no-room"},
		{"no PIN", `{"type":"join","room":"safe","name":"A"}`, "pin"},
		{"wrong PIN", `{"type":"join","room":"safe","name":"A","pin":"1"}`, "pin"},
		{"wrong PIN again", `{"type":"join","room":"safe","name":"A","pin":"2"}`, "pin"},
		{"too many", `{"type":"join","room":"safe","name":"A","pin":"1234"}`, "too-many"},
		{"nothing to resume", `{"type":"resume","session":"abc"}`, "session"},
		{"another first message", `{"type":"ping"}`, "malformed"},
		{"not JSON", `hello`, "malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, m := h.Socket(t, c.first)
			if m["type"] != "refused" || m["code"] != c.code || m["text"] == "" {
				t.Errorf("answer %v, want code %s", m, c.code)
			}
		})
	}
	t.Run("strange origin", func(t *testing.T) {
		resp, _ := webtest.Do(t, "GET", h.Door.URL()+"/ws", "", map[string]string{
			"Origin": "https://evil.example", "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
		})
		if resp.StatusCode != 403 {
			t.Errorf("status %d, want 403", resp.StatusCode)
		}
	})
}

// A page that loses its WebSocket finds its place again, and what was said meanwhile; one
// that does not come back is out after a while.
func TestSocketResumes(t *testing.T) {
	t.Parallel()
	h := webtest.Open(t, []settings.Room{{ID: "lab", Title: "Laboratory"}}, func(c *web.Config) { c.ResumeWithin, c.MediaWithin = 2*time.Second, time.Hour })
	room, err := h.Host.Room("lab")
	require.NoError(t, err)
	annConn, ann := h.Socket(t, `{"type":"join","room":"lab","name":"Ann"}`)
	bobConn, bob := h.Socket(t, `{"type":"join","room":"lab","name":"Bob"}`)
	if ann["type"] != "welcome" || bob["type"] != "welcome" {
		t.Fatalf("welcomes: %v, %v", ann, bob)
	}
	webtest.Receive(t, bobConn, "info")
	bobConn.CloseNow()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(t, annConn.Write(ctx, websocket.MessageText, []byte(`{"type":"chat","n":7,"text":"Where is Bob?"}`)))
	if r := webtest.Receive(t, annConn, "result"); r["ok"] != true || r["n"] != 7.0 {
		t.Fatalf("result %v", r)
	}
	again, back := h.Socket(t, `{"type":"resume","session":"`+bob["session"].(string)+`"}`)
	if back["type"] != "welcome" || back["id"] != bob["id"] || back["resumed"] != true {
		t.Fatalf("resumed: %v, was %v", back, bob)
	}
	if c := webtest.Receive(t, again, "chat"); c["message"].(map[string]any)["text"] != "Where is Bob?" {
		t.Errorf("chat %v", c)
	}
	require.NoError(t, again.Write(ctx, websocket.MessageText, []byte(`{"type":"order","n":8,"order":{"action":"end"}}`)))
	if r := webtest.Receive(t, again, "result"); r["ok"] != false || r["text"] == "" {
		t.Errorf("an order that Bob may not give: %v", r)
	}
	again.CloseNow()
	eventually.NoError(t, func() error {
		people := room.Info().Participants
		if slices.ContainsFunc(people, func(p conference.Participant) bool { return p.Name == "Bob" }) {
			return fmt.Errorf("Bob is still there: %v", people)
		}
		return nil
	})
}

// A host that is about to stop waits for those who are in a meeting, but not for a page that is
// away and does not come back.
func TestDrainWaitsForNobodyAway(t *testing.T) {
	t.Parallel()
	h := webtest.Open(t, []settings.Room{{ID: "lab", Title: "Laboratory"}}, func(c *web.Config) { c.ResumeWithin, c.MediaWithin = time.Hour, time.Hour })
	here, ann := h.Socket(t, `{"type":"join","room":"lab","name":"Ann"}`)
	away, bob := h.Socket(t, `{"type":"join","room":"lab","name":"Bob"}`)
	if ann["type"] != "welcome" || bob["type"] != "welcome" {
		t.Fatalf("welcomes: %v, %v", ann, bob)
	}
	away.CloseNow()
	drained := make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	go func() { defer close(drained); h.Door.Drain(ctx) }()
	room, err := h.Host.Room("lab")
	require.NoError(t, err)
	eventually.NoError(t, func() error {
		if people := room.Info().Participants; len(people) > 1 {
			return fmt.Errorf("still there: %v", people)
		}
		return nil
	})
	select {
	case <-drained:
		t.Error("Ann, who is here, was not waited for")
	default:
	}
	if _, m := h.Socket(t, `{"type":"join","room":"lab","name":"Cid"}`); m["code"] != "draining" {
		t.Errorf("Cid comes in: %v", m)
	}
	require.NoError(t, here.Write(ctx, websocket.MessageText, []byte(`{"type":"leave"}`)))
	<-drained
	if ctx.Err() != nil {
		t.Error("the last has left, and is waited for")
	}
}

// Each browser is one identity; a signed token is another, with the role it grants.
func TestJoinTokens(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	h := webtest.Open(t, []settings.Room{{ID: "lab", PIN: "1234"}}, func(c *web.Config) { c.JoinSecret = key })
	token := web.JoinToken{Subject: "ann@example.org", Name: "Ann", Room: "lab", Role: "moderator", Expires: time.Now().Add(time.Hour).Unix()}.Sign(key)
	conn, m := h.Socket(t, `{"type":"join","room":"lab","name":"x","token":"`+token+`"}`)
	if m["type"] != "welcome" {
		t.Fatalf("answer %v", m)
	}
	webtest.Receive(t, conn, "info")
	room, err := h.Host.Room("lab")
	require.NoError(t, err)
	p := room.Info().Participants[0]
	if p.Identity != "web:ann@example.org" || p.Name != "Ann" || p.Role.String() != "moderator" {
		t.Errorf("participant %+v", p)
	}
	for name, bad := range map[string]web.JoinToken{
		"expired":      {Subject: "a", Room: "lab", Expires: time.Now().Add(-time.Hour).Unix()},
		"another room": {Subject: "a", Room: "other", Expires: time.Now().Add(time.Hour).Unix()},
		"no subject":   {Room: "lab", Expires: time.Now().Add(time.Hour).Unix()},
		"unknown role": {Subject: "a", Role: "emperor", Expires: time.Now().Add(time.Hour).Unix()},
	} {
		if _, m := h.Socket(t, `{"type":"join","room":"lab","token":"`+bad.Sign(key)+`"}`); m["code"] != "token" {
			t.Errorf("%s: %v", name, m)
		}
	}
	if _, m := h.Socket(t, `{"type":"join","room":"lab","token":"`+(web.JoinToken{Subject: "a", Expires: time.Now().Add(time.Hour).Unix()}).Sign([]byte("other"))+`"}`); m["code"] != "token" {
		t.Errorf("signed by another: %v", m)
	}
}

func TestConfigIsChecked(t *testing.T) {
	host, err := conference.NewHost(conference.Config{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(host.Close)
	for name, c := range map[string]web.Config{
		"redirect without TLS":     {Redirect: ":80"},
		"plain HTTP for the world": {Listen: "192.0.2.1:80"},
		"address without port":     {Listen: "localhost"},
		"public URL with a path":   {PublicURL: "https://example.org/meet"},
		"origin without scheme":    {AllowedOrigins: []string{"example.org"}},
	} {
		c.Host = host
		if _, err := web.New(c); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			t.Log(err)
		}
	}
}

// Pages whose name was made to lead to this machine get nothing, whatever they say that their origin is.
func TestRebinding(t *testing.T) {
	t.Parallel()
	h := webtest.Open(t, []settings.Room{{ID: "lab"}}, func(c *web.Config) { c.AllowedOrigins = []string{"https://partner.example"} })
	for host, want := range map[string]int{
		"": 200, "localhost": 200, "meet": 200, "partner.example": 200, "evil.example": 421, "evil.example:8080": 421,
	} {
		header := map[string]string{"Origin": "http://" + host}
		if host != "" {
			header["Host"] = host
		}
		for _, path := range []string{"/r/lab", "/r/lab/about"} {
			if r, body := webtest.Do(t, "GET", h.Door.URL()+path, "", header); r.StatusCode != want {
				t.Errorf("%s of %q: %d %s", path, host, r.StatusCode, body)
			}
		}
		if r, _ := webtest.Do(t, "POST", h.Door.URL()+"/whip/lab", "v=0", header); (r.StatusCode == 421) != (want == 421) {
			t.Errorf("WHIP by %q: %d", host, r.StatusCode)
		}
	}
}

// Who comes by plain HTTP is sent to the page and nowhere else, and an authority's questions are answered there.
func TestRedirect(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	webtest.Open(t, nil, func(c *web.Config) {
		none := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }
		c.TLS, c.PublicURL, c.Redirect = &tls.Config{GetCertificate: none}, "https://meet.example.org", addr
		c.Challenges = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/.well-known/") {
					w.WriteHeader(http.StatusTeapot)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	})
	for path, want := range map[string]string{
		"/": "https://meet.example.org/", "/r/lab?a=b": "https://meet.example.org/r/lab?a=b", "//evil.example/": "https://meet.example.org//evil.example/",
	} {
		r, _ := webtest.Do(t, "GET", "http://"+addr+path, "", map[string]string{"Host": "evil.example"})
		require.Equal(t, http.StatusMovedPermanently, r.StatusCode)
		require.Equal(t, want, r.Header.Get("Location"))
	}
	r, _ := webtest.Do(t, "POST", "http://"+addr+"/whip/lab", "v=0", nil)
	require.Equal(t, http.StatusBadRequest, r.StatusCode)
	r, _ = webtest.Do(t, "GET", "http://"+addr+"/.well-known/acme-challenge/x", "", nil)
	require.Equal(t, http.StatusTeapot, r.StatusCode)
}

// An offer that is none is not told, nor logged, in all its length.
func TestOffersAreNotQuotedInFull(t *testing.T) {
	t.Parallel()
	h := webtest.Open(t, []settings.Room{{ID: "a"}}, func(c *web.Config) { c.MediaWithin = time.Hour })
	ann, _ := h.Socket(t, `{"type":"join","room":"a","name":"Ann"}`)
	m := ask(t, ann, `{"type":"offer","sdp":"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=`+strings.Repeat("x", 30_000)+`\r\n"}`, "error")
	require.Less(t, len(m["text"].(string)), 400)
}
