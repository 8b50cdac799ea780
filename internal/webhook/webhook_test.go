package webhook

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "sixteen characters"

type got struct {
	kind, signature, body string
}

func start(t *testing.T, kinds []string, answer func(n int64) int) (*Sender, chan got) {
	t.Helper()
	posts := make(chan got, 100)
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		code := answer(n.Add(1))
		if code < 300 {
			posts <- got{r.Header.Get("X-Rendezvous-Event"), r.Header.Get("X-Rendezvous-Signature"), string(body)}
		}
		w.WriteHeader(code)
	}))
	s := Start(Endpoint{URL: server.URL, Secret: secret, Kinds: kinds}, slog.New(slog.NewTextHandler(t.Output(), nil)), NewMetrics(nil), nil)
	t.Cleanup(func() {
		s.Close()
		server.Close()
	})
	return s, posts
}

func next(t *testing.T, posts chan got) got {
	t.Helper()
	select {
	case g := <-posts:
		return g
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was posted")
	}
	return got{}
}

// The signature is checked by openssl, as a receiver might.
func TestPostsAreSignedAndInOrder(t *testing.T) {
	s, posts := start(t, []string{"a", "b"}, func(int64) int { return 204 })
	s.Post("a", map[string]int{"n": 1})
	s.Post("unwanted", nil)
	s.Post("b", map[string]int{"n": 2})
	first, second := next(t, posts), next(t, posts)
	if first.kind != "a" || first.body != `{"n":1}` || second.kind != "b" {
		t.Errorf("posted %+v, %+v", first, second)
	}
	at, sum, ok := strings.Cut(strings.TrimPrefix(first.signature, "t="), ",v1=")
	if !ok {
		t.Fatalf("signature %q", first.signature)
	}
	cmd := exec.Command("openssl", "dgst", "-sha256", "-hmac", secret, "-r")
	cmd.Stdin = strings.NewReader(at + "." + first.body)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal("openssl is needed: ", err)
	}
	if !strings.HasPrefix(string(out), sum+" ") {
		t.Errorf("openssl computes %s, the header says %s", out, sum)
	}
}

func TestTriedAgainUnlessRefused(t *testing.T) {
	s, posts := start(t, nil, func(n int64) int {
		switch n {
		case 1:
			return 503
		case 3:
			return 400
		}
		return 200
	})
	s.Post("again", 1)
	if g := next(t, posts); g.kind != "again" {
		t.Errorf("posted %+v", g)
	}
	s.Post("refused", 2)
	s.Post("last", 3)
	if g := next(t, posts); g.kind != "last" {
		t.Errorf("posted %+v after one that was refused", g)
	}
}

func TestQueueIsBounded(t *testing.T) {
	block := make(chan struct{})
	s, posts := start(t, nil, func(n int64) int {
		if n == 1 {
			<-block
		}
		return 200
	})
	for i := range queueLength + 50 {
		s.Post("x", i)
	}
	s.mu.Lock()
	n := len(s.queue)
	s.mu.Unlock()
	if n > queueLength {
		t.Errorf("%d events wait", n)
	}
	close(block)
	next(t, posts)
}

func TestCheck(t *testing.T) {
	for _, e := range []Endpoint{{URL: "ftp://x", Secret: secret}, {URL: "not a url", Secret: secret}, {URL: "https://x/y", Secret: "short"}} {
		if e.Check() == nil {
			t.Errorf("%+v passes", e)
		}
	}
	if err := (Endpoint{URL: "https://x/y", Secret: secret}).Check(); err != nil {
		t.Error(err)
	}
}
