package certificate

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An authority that hangs does not hold up the end, and what was wrong is told.
func TestAuthorityThatHangs(t *testing.T) {
	asked := make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	a := NewACME(Authority{Names: []string{"meet.example.org"}, Directory: server.URL, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	require.True(t, a.Expires().IsZero())
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); a.Run(ctx) }()
	<-asked
	stop()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("the authority is waited for")
	}
	require.Len(t, a.Degraded(), 1)
	require.Contains(t, a.Degraded()[0], "no certificate for meet.example.org: ")
}

// Who asks for other names cannot make the host ask for certificates for them.
func TestOtherNames(t *testing.T) {
	var asked int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked++; http.Error(w, "no", http.StatusTeapot) }))
	defer server.Close()
	a := NewACME(Authority{Names: []string{"meet.example.org"}, Directory: server.URL, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	for _, name := range []string{"", "other.example.org", "127.0.0.1"} {
		_, err := a.Get(&tls.ClientHelloInfo{ServerName: name, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})
		require.Error(t, err)
	}
	require.Len(t, a.failed, 1)
	require.Contains(t, a.failed, "meet.example.org")
	_, err := a.Get(&tls.ClientHelloInfo{ServerName: "other.example.org", SupportedProtos: []string{"acme-tls/1"}})
	require.ErrorContains(t, err, "no token cert")

	h := a.Challenges(http.NotFoundHandler())
	for host, want := range map[string]int{"meet.example.org": 404, "meet.example.org:8080": 404, "other.example.org": 403} {
		r := httptest.NewRequest("GET", "http://"+host+"/.well-known/acme-challenge/x", nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, want, w.Code, host)
	}
}
