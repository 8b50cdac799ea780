package certificate

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// Authority says which certificates to get, and where.
type Authority struct {
	Names     []string // to get certificates for; at least one
	Email     string   // contact, may be empty
	Dir       string   // keeps keys and certificates, made 0700
	Directory string   // the authority's directory, a URL; default: Let's Encrypt
	Log       *slog.Logger
}

// Pauses between looks at whether there are certificates.
const (
	lookEvery  = time.Hour
	firstPause = time.Minute // after a failure; then longer, up to lookEvery
)

// ACME has certificates from an authority, which it renews when a third of their time is left (at most 30 days).
type ACME struct {
	names   []string
	log     *slog.Logger
	manager *autocert.Manager
	ctx     context.Context // of requests to the authority; ends with Close
	cancel  context.CancelFunc

	mu      sync.Mutex
	expires map[string]time.Time // by name, as last shown or got; guarded by mu, as is failed
	failed  map[string]error     // names that no certificate could be had for
}

// NewACME makes one; nothing is asked for until somebody asks for a certificate, or Run runs.
func NewACME(a Authority) *ACME {
	ctx, cancel := context.WithCancel(context.Background())
	listed := autocert.HostWhitelist(a.Names...)
	return &ACME{
		names: a.Names, log: a.Log, ctx: ctx, cancel: cancel, expires: map[string]time.Time{}, failed: map[string]error{},
		manager: &autocert.Manager{
			Prompt: autocert.AcceptTOS,
			HostPolicy: func(ctx context.Context, host string) error {
				if name, _, err := net.SplitHostPort(host); err == nil { // of a challenge that a router leads here
					host = name
				}
				return listed(ctx, host)
			},
			Cache:  autocert.DirCache(a.Dir),
			Email:  a.Email,
			Client: &acme.Client{DirectoryURL: a.Directory, HTTPClient: &http.Client{Transport: endable{ctx}}, UserAgent: "rendezvous"},
		},
	}
}

// Get is a tls.Config's GetCertificate. Who names nothing that is served, as many phones do, is shown the first name's
// certificate. It takes as long as the authority does if there is none yet, and is an error if it cannot be had.
func (a *ACME) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	challenge := slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) // RFC 8737 section 3
	if name := strings.TrimSuffix(hello.ServerName, "."); !challenge && !slices.ContainsFunc(a.names, func(n string) bool { return strings.EqualFold(n, name) }) {
		first := *hello
		first.ServerName = a.names[0]
		hello = &first
	}
	cert, err := a.manager.GetCertificate(hello)
	if !challenge {
		a.note(strings.ToLower(strings.TrimSuffix(hello.ServerName, ".")), cert, err)
	}
	return cert, err
}

// note remembers what has become of a name.
func (a *ACME) note(name string, cert *tls.Certificate, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.failed[name] = err
		return
	}
	delete(a.failed, name)
	if at := cert.Leaf.NotAfter; !at.Equal(a.expires[name]) {
		a.log.Info("another certificate is in force", "name", name, "expires", at)
		a.expires[name] = at
	}
}

// Server are the settings of a server of web pages that shows the certificates and answers challenges in its handshakes
// (tls-alpn-01).
func (a *ACME) Server() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1", acme.ALPNProto}, GetCertificate: a.Get}
}

// Challenges answers the authority over plain HTTP, too (http-01), and leaves other requests to next.
func (a *ACME) Challenges(next http.Handler) http.Handler { return a.manager.HTTPHandler(next) }

// Run gets the certificates before anybody asks for them, and looks at them every hour, until ctx ends: what is wrong with
// the names or the ports is in the log at the start.
func (a *ACME) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, a.cancel)
	defer stop()
	for pause := firstPause; ; {
		failed := false
		for _, name := range a.names {
			_, err := a.Get(&tls.ClientHelloInfo{ServerName: name, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})
			if err != nil && ctx.Err() == nil {
				failed = true
				a.log.Error("no certificate can be had", "name", name, "again", pause, "error", err)
			}
		}
		wait := lookEvery
		if failed {
			wait, pause = pause, min(2*pause, lookEvery)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// Expires is when the first of the certificates is no longer valid; zero if there is none yet.
func (a *ACME) Expires() (first time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, at := range a.expires {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// Degraded has a line for each name that no certificate could be had for.
func (a *ACME) Degraded() (lines []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(a.failed)) {
		lines = append(lines, "no certificate for "+name+": "+a.failed[name].Error())
	}
	return lines
}

// endable are requests that end when a context does; autocert has none of ours.
type endable struct{ ctx context.Context }

func (e endable) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(e.ctx, cancel)
	resp, err := http.DefaultTransport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		stop()
		cancel()
		return nil, err
	}
	resp.Body = &endableBody{resp.Body, func() { stop(); cancel() }}
	return resp, nil
}

type endableBody struct {
	io.ReadCloser
	done func()
}

func (b *endableBody) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}
