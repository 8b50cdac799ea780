// Package admin is the operators' port: health, readiness, metrics and profiles.
// It has no access control and belongs on loopback or a network of the operators' own.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rendezvous/internal/anyaddr"
	"rendezvous/internal/hostheader"
)

// Server serves the port. The exported fields are its parameters.
type Server struct {
	Listen   string // host:port; 127.0.0.1 is ::1 where there is no other loopback
	Log      *slog.Logger
	Gatherer prometheus.Gatherer
	Names    []string // host names that it is asked by, besides those of package hostheader
	// Degraded lists the parts of the host that do not work while the rest does, a line each: people can meet, and a
	// restart would mend nothing. A nil function: there are none.
	Degraded func() []string

	ready atomic.Bool
	http  *http.Server
	addr  net.Addr
	wg    sync.WaitGroup
}

// Start opens the port. It fails if that cannot be had.
func (s *Server) Start(ctx context.Context) error {
	l, err := listen(ctx, s.Listen)
	if err != nil {
		return fmt.Errorf("admin port: %w", err)
	}
	s.addr = l.Addr()
	s.http = &http.Server{Handler: hostheader.Check(s.handler(), s.Names, nil, "ask by its address, or by the name of web.public_url"), ReadHeaderTimeout: 5 * time.Second}
	s.wg.Go(func() { _ = s.http.Serve(l) }) // ends with Close
	return nil
}

// loopback is what stands for this machine, and is the default, even where it has ::1 alone.
const loopback = "127.0.0.1"

// listen listens on an address. Where the machine has no 127.0.0.1, ::1 stands for that.
func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := anyaddr.Listen(ctx, address)
	if !errors.Is(err, syscall.EADDRNOTAVAIL) && !errors.Is(err, syscall.EAFNOSUPPORT) {
		return l, err
	}
	host, port, e := net.SplitHostPort(address)
	if e != nil || host != loopback {
		return nil, err
	}
	if l, e = anyaddr.Listen(ctx, net.JoinHostPort("::1", port)); e != nil {
		return nil, err // there is none of the two
	}
	return l, nil
}

// Addr is where the port listens.
func (s *Server) Addr() net.Addr { return s.addr }

// SetReady says whether new callers are welcome: /readyz.
func (s *Server) SetReady(on bool) { s.ready.Store(on) }

// Close closes the port and waits. Requests being answered are cut off. The error is of
// closing it.
func (s *Server) Close() error {
	err := s.http.Close()
	s.wg.Wait()
	return err
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if s.Degraded != nil {
			if lines := s.Degraded(); len(lines) > 0 {
				answer(w, http.StatusOK, "degraded\n"+strings.Join(lines, "\n"))
				return
			}
		}
		answer(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !s.ready.Load() {
			answer(w, http.StatusServiceUnavailable, "not ready: starting or stopping")
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Gatherer, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelError),
	}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}
