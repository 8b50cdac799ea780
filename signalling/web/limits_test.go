package web_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"rendezvous/conference/settings"
	"rendezvous/internal/eventually"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/webtest"
)

// bounded is a door with bounds, and what it says.
type bounded struct {
	*webtest.House
	metrics *prometheus.Registry
	log     lines
}

// lines are a log of warnings.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func openBounded(t *testing.T, change func(*web.Config)) *bounded {
	b := &bounded{metrics: prometheus.NewRegistry()}
	b.House = webtest.Open(t, []settings.Room{{ID: "lab"}, {ID: "safe", PIN: "1234"}}, func(c *web.Config) {
		c.Registerer, c.MediaWithin = b.metrics, time.Hour
		c.Log = slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		change(c)
	})
	return b
}

// dropped is how often something was not taken.
func (b *bounded) dropped(t *testing.T, reason string) float64 {
	t.Helper()
	families, err := b.metrics.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "rendezvous_web_dropped_total" && m.GetLabel()[0].GetValue() == reason {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no count of %q", reason)
	return 0
}

// connect opens a TCP connection that says nothing.
func (b *bounded) connect(t *testing.T) net.Conn {
	t.Helper()
	_, address, _ := strings.Cut(b.Door.URL(), "://")
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	return c
}

// served reports whether the door answers a request by a connection.
func served(c net.Conn) error {
	if _, err := io.WriteString(c, "GET /r/lab/about HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// socket opens a page's WebSocket that has not said anything, by a proxy that says whose it is, or without one.
func (b *bounded) socket(t *testing.T, forwarded string) (*websocket.Conn, *http.Response) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	header := http.Header{}
	if forwarded != "" {
		header.Set("X-Forwarded-For", forwarded)
	}
	conn, resp, err := websocket.Dial(ctx, strings.Replace(b.Door.URL(), "http", "ws", 1)+"/ws", &websocket.DialOptions{HTTPHeader: header})
	if err == nil {
		t.Cleanup(func() { conn.CloseNow() })
		return conn, resp
	}
	require.NotNil(t, resp, "%v", err)
	return nil, resp
}

// requireRefused wants a WebSocket to be answered that there is no place for it.
func (b *bounded) requireRefused(t *testing.T, forwarded string) {
	t.Helper()
	conn, resp := b.socket(t, forwarded)
	require.Nil(t, conn)
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Equal(t, "15", resp.Header.Get("Retry-After"))
}

// waitSocket waits until there is a place for a WebSocket again.
func (b *bounded) waitSocket(t *testing.T, forwarded string) (conn *websocket.Conn) {
	t.Helper()
	eventually.True(t, "a place", func() bool { conn, _ = b.socket(t, forwarded); return conn != nil })
	return conn
}

// Of one network there are so many connections and no more; others are closed at once, which is counted, and told once. Who goes makes way.
func TestConnectionsOfOneNetwork(t *testing.T) {
	t.Parallel()
	b := openBounded(t, func(c *web.Config) { c.MaxConnectionsOfNetwork = 3 })
	open := []net.Conn{b.connect(t), b.connect(t), b.connect(t)}
	for _, c := range open {
		require.NoError(t, served(c)) // and kept alive
	}
	for range 5 {
		_, err := b.connect(t).Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
	}
	require.EqualValues(t, 5, b.dropped(t, "connections"))
	said := b.log.String()
	require.Equal(t, 1, strings.Count(said, "turned away"), said)
	require.Contains(t, said, "what=connections network=127.0.0.1/32")
	require.NoError(t, served(open[2]), "who is there is served")

	open[0].Close()
	eventually.NoError(t, func() error { return served(b.connect(t)) })
}

// What is too much costs no handshake of TLS.
func TestConnectionsAreCountedBeforeTLS(t *testing.T) {
	t.Parallel()
	var handshakes atomic.Int32
	b := openBounded(t, func(c *web.Config) {
		c.MaxConnectionsOfNetwork = 1
		c.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			handshakes.Add(1)
			return nil, errors.New("none")
		}}
	})
	first := b.connect(t)
	require.Error(t, tls.Client(b.connect(t), &tls.Config{ServerName: "localhost"}).HandshakeContext(t.Context()))
	require.Zero(t, handshakes.Load())
	require.Error(t, tls.Client(first, &tls.Config{ServerName: "localhost"}).HandshakeContext(t.Context()))
	require.EqualValues(t, 1, handshakes.Load())
}

// In all there are so many, those of a trusted proxy among them, which by itself has no bound.
func TestConnectionsInAll(t *testing.T) {
	t.Parallel()
	b := openBounded(t, func(c *web.Config) {
		c.MaxConnections, c.MaxConnectionsOfNetwork = 4, 1
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	open := []net.Conn{b.connect(t), b.connect(t), b.connect(t), b.connect(t)}
	for _, c := range open {
		require.NoError(t, served(c))
	}
	_, err := b.connect(t).Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	open[3].Close()
	eventually.NoError(t, func() error { return served(b.connect(t)) })
}

// A page's WebSocket counts until it is closed.
func TestSocketsAreConnections(t *testing.T) {
	t.Parallel()
	b := openBounded(t, func(c *web.Config) { c.MaxConnectionsOfNetwork = 1 })
	ann, m := b.Socket(t, `{"type":"join","room":"lab","name":"Ann"}`)
	require.Equal(t, "welcome", m["type"])
	_, err := b.connect(t).Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	ann.CloseNow()
	eventually.NoError(t, func() error { return served(b.connect(t)) })
}

// WebSockets that have not joined have a bound; whoever joins, is refused or goes makes way.
func TestUnjoinedOfOneNetwork(t *testing.T) {
	t.Parallel()
	b := openBounded(t, func(c *web.Config) { c.MaxUnjoinedOfNetwork = 2 })
	first, _ := b.socket(t, "")
	second, _ := b.socket(t, "")
	b.requireRefused(t, "")
	b.requireRefused(t, "192.0.2.1") // which nobody who is trusted says
	require.EqualValues(t, 2, b.dropped(t, "sockets"))
	said := b.log.String()
	require.Equal(t, 1, strings.Count(said, "turned away"), said)
	require.Contains(t, said, "what=sockets network=127.0.0.1/32")

	require.NoError(t, first.Write(t.Context(), websocket.MessageText, []byte(`{"type":"join","room":"lab","name":"Ann"}`)))
	webtest.Receive(t, first, "welcome")
	third := b.waitSocket(t, "")
	b.requireRefused(t, "")

	require.NoError(t, second.Write(t.Context(), websocket.MessageText, []byte(`{"type":"join","room":"safe","name":"Ben"}`)))
	webtest.Receive(t, second, "refused")
	_, _, err := second.Read(t.Context())
	require.Equal(t, websocket.StatusNormalClosure, websocket.CloseStatus(err))
	fourth := b.waitSocket(t, "")
	b.requireRefused(t, "")

	third.CloseNow()
	b.waitSocket(t, "")
	b.requireRefused(t, "")
	fourth.CloseNow()
	webtest.Receive(t, first, "info") // Ann has been in all the time
}

// Behind a trusted proxy WebSockets are those of the address that it tells; in all there is a bound, too.
func TestUnjoinedBehindAProxy(t *testing.T) {
	t.Parallel()
	b := openBounded(t, func(c *web.Config) {
		c.MaxUnjoined, c.MaxUnjoinedOfNetwork = 4, 2
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	ann, _ := b.socket(t, "192.0.2.1")
	require.NotNil(t, ann)
	b.socket(t, "192.0.2.1")
	b.requireRefused(t, "192.0.2.1")
	b.requireRefused(t, "198.51.100.7, 192.0.2.1") // the rest is what the client has said
	for i := range 2 {
		c, _ := b.socket(t, fmt.Sprintf("2001:db8::%d", i))
		require.NotNil(t, c)
	}
	b.requireRefused(t, "203.0.113.1") // as many as may be in all
	ann.CloseNow()
	eventually.NoError(t, func() error {
		if c, _ := b.socket(t, "2001:db8::3"); c != nil {
			return fmt.Errorf("of one network of IPv6 there are three")
		}
		if c, _ := b.socket(t, "203.0.113.1"); c == nil {
			return fmt.Errorf("there is no place")
		}
		return nil
	})
}

// A thousand people of one office have a place by default, all at once: two connections that are kept alive, and a WebSocket, for each.
func TestAnOfficeHasRoom(t *testing.T) {
	b := openBounded(t, func(*web.Config) {})
	for i := range 1000 {
		b.connect(t)
		b.connect(t)
		conn, resp := b.socket(t, "")
		require.NotNil(t, conn, "person %d: %d", i, resp.StatusCode)
	}
	require.Zero(t, b.dropped(t, "connections")+b.dropped(t, "sockets"))
}
