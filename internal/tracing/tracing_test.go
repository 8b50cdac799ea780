package tracing

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rendezvous/internal/tracing/tracingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTracer(t *testing.T, url string, log io.Writer) *Tracer {
	t.Helper()
	tracer, err := New(Config{Endpoint: url, Version: "1.2", Log: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	return tracer
}

func TestSetups(t *testing.T) {
	collector := tracingtest.New(t)
	tracer := newTracer(t, collector.URL, t.Output())

	page := tracer.Begin("web", "page", "lab", "join")
	page.Step("offer")
	page.Step("ice")
	page.Step("dtls")
	page.Ready()
	page.Ready()
	page.Packet("audio")
	page.Packet("video")
	page.Step("late")
	page.End(nil)

	phone := tracer.Begin("sip", "in", "", "invite")
	phone.Step("ack")
	phone.Packet("audio") // before the ACK
	phone.Ready()

	away := tracer.Begin("jami", "out", "hall", "invite")
	away.Event("ack")
	away.End(errors.New("declined"))

	silent := tracer.Begin("web", "page", "silent", "join")
	silent.Ready()
	silent.End(nil)

	viewer := tracer.Begin("web", "whep", "lab", "join")
	viewer.Done()

	require.NoError(t, tracer.Close(t.Context()))
	require.Equal(t, []tracingtest.Trace{
		{Door: "web", Kind: "page", Room: "lab", Of: "audio", Steps: []string{"join", "offer", "ice", "dtls", "first packet"}},
		{Door: "sip", Kind: "in", Of: "audio", Events: []string{"first packet"}, Steps: []string{"invite", "ack", "first packet"}},
		{Door: "jami", Kind: "out", Room: "hall", Error: "invite: declined", Events: []string{"ack"}, Steps: []string{"invite"}},
		{Door: "web", Kind: "page", Room: "silent", Events: []string{"ended without a packet"}, Steps: []string{"join", "first packet"}},
		{Door: "web", Kind: "whep", Room: "lab", Steps: []string{"join"}},
	}, collector.Traces())
	require.Equal(t, map[string]string{"service.name": "rendezvous", "service.version": "1.2"}, collector.Resource())
}

// Without an endpoint nothing is made at all.
func TestOffCostsNothing(t *testing.T) {
	var tracer *Tracer
	require.Zero(t, testing.AllocsPerRun(100, func() {
		s := tracer.Begin("web", "page", "lab", "join")
		s.Step("offer")
		s.Event("x")
		s.Ready()
		s.Packet("audio")
		s.Done()
		s.End(nil)
	}))
	log := slog.New(slog.DiscardHandler)
	require.Same(t, log, tracer.Begin("web", "page", "lab", "join").Log(log))
	require.NoError(t, tracer.Close(t.Context()))
}

// A collector that hangs makes no call wait, and no more than a bounded number of spans is kept for it.
func TestCollectorThatHangs(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		http.Error(w, "no", http.StatusServiceUnavailable)
	}))
	defer server.Close()
	var said strings.Builder
	tracer := newTracer(t, server.URL, &said)
	began := time.Now()
	for range 5 * queueLength {
		s := tracer.Begin("sip", "in", "lab", "invite")
		s.Ready()
		s.Packet("audio")
	}
	require.Less(t, time.Since(began), sendTimeout, "nobody waits for the collector")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_ = tracer.Close(ctx) // it cannot deliver
	require.Less(t, time.Since(began), sendTimeout)
	close(release)
	server.CloseClientConnections()
}

func TestEndpointThatIsNone(t *testing.T) {
	for _, endpoint := range []string{"", "localhost", "http://", "://x"} {
		_, err := New(Config{Endpoint: endpoint})
		require.Error(t, err, endpoint)
	}
}
