package webhook

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "sixteen characters"

type got struct {
	kind, signature, body string
}

// over is a context that has ended: no time to deliver anything.
var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

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
		s.Close(over)
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

// What waits at the end is delivered, as long as there is time.
func TestCloseDelivers(t *testing.T) {
	begun, block := make(chan struct{}), make(chan struct{})
	var taken atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if taken.Add(1) == 1 {
			close(begun)
			<-block
		}
	}))
	defer server.Close()
	s := Start(Endpoint{URL: server.URL, Secret: secret}, slog.New(slog.NewTextHandler(t.Output(), nil)), NewMetrics(nil), nil)
	for i := range 20 {
		s.Post("x", i)
	}
	<-begun
	time.AfterFunc(100*time.Millisecond, func() { close(block) })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s.Close(ctx)
	s.Post("x", "too late")
	if n := taken.Load(); n != 20 {
		t.Errorf("%d events of 20 were delivered", n)
	}
	if ctx.Err() != nil {
		t.Error("it took all the time there was")
	}
}

// An endpoint that is away, or does not answer, does not hold up the end.
func TestCloseIsBounded(t *testing.T) {
	block := make(chan struct{})
	for name, answer := range map[string]func(http.ResponseWriter){
		"away":           func(w http.ResponseWriter) { w.WriteHeader(503) },
		"without answer": func(http.ResponseWriter) { <-block },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w) }))
			m := NewMetrics(nil)
			s := Start(Endpoint{URL: server.URL, Secret: secret}, slog.New(slog.NewTextHandler(t.Output(), nil)), m, nil)
			for i := range 3 {
				s.Post("x", i)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			begin := time.Now()
			s.Close(ctx)
			if took := time.Since(begin); took > 15*time.Second {
				t.Errorf("the end took %s", took)
			}
			var d dto.Metric
			if err := m.dropped.Write(&d); err != nil || d.GetCounter().GetValue() != 3 {
				t.Errorf("%v of 3 events counted as given up (%v)", d.GetCounter().GetValue(), err)
			}
			if name == "without answer" {
				close(block)
			}
			server.Close()
		})
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
