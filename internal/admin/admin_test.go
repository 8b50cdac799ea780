package admin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rendezvous/internal/anyaddr/anyaddrtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPort(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "x_total", Help: "X."})
	reg.MustRegister(c)
	c.Add(3)
	var broken atomic.Bool
	s := &Server{
		Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), Gatherer: reg,
		Degraded: func() []string {
			if broken.Load() {
				return []string{"room a: no keys", "room b: neither"}
			}
			return nil
		},
	}
	require.NoError(t, s.Start(context.Background()))
	defer s.Close()

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := client.Get("http://" + s.Addr().String() + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	check := func(path string, status int, text string) {
		t.Helper()
		gotStatus, gotText := get(path)
		require.Equal(t, status, gotStatus)
		require.Contains(t, gotText, text)
	}
	check("/healthz", 200, "ok\n")
	check("/readyz", 503, "not ready")
	s.SetReady(true)
	check("/readyz", 200, "ready\n")
	broken.Store(true)
	check("/healthz", 200, "degraded\nroom a: no keys\nroom b: neither\n")
	check("/metrics", 200, "x_total 3")
	check("/debug/pprof/goroutine?debug=1", 200, "goroutine profile")
	check("/", 404, "")

	other := &Server{Listen: s.Addr().String(), Log: s.Log, Gatherer: reg}
	require.ErrorContains(t, other.Start(context.Background()), "admin port: listen tcp "+s.Addr().String())
}

// On a host of IPv6 alone the port is there too, by default and if it is to be everywhere; another address of IPv4, which the
// host does not have, is refused.
func TestIPv6Only(t *testing.T) {
	if !anyaddrtest.IPv6Only(t) {
		return
	}
	for listen, want := range map[string]string{"127.0.0.1:0": "::1", "[::1]:0": "::1", ":0": "::"} {
		s := &Server{Listen: listen, Log: slog.New(slog.DiscardHandler), Gatherer: prometheus.NewRegistry()}
		require.NoError(t, s.Start(t.Context()), listen)
		addr := s.Addr().(*net.TCPAddr)
		require.Equal(t, want, addr.IP.String(), listen)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Get(fmt.Sprintf("http://[::1]:%d/healthz", addr.Port))
		require.NoError(t, err, listen)
		resp.Body.Close()
		require.Equal(t, 200, resp.StatusCode)
		require.NoError(t, s.Close())
	}
	other := &Server{Listen: "192.0.2.1:0", Log: slog.New(slog.DiscardHandler), Gatherer: prometheus.NewRegistry()}
	require.ErrorIs(t, other.Start(t.Context()), syscall.EADDRNOTAVAIL)

	// Nobody else's port is taken in its place.
	taken, err := net.Listen("tcp", "[::1]:0")
	require.NoError(t, err)
	defer taken.Close()
	other.Listen = fmt.Sprintf("127.0.0.1:%d", taken.Addr().(*net.TCPAddr).Port)
	require.ErrorContains(t, other.Start(t.Context()), "admin port: listen tcp 127.0.0.1:")
}
