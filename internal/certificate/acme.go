package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
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
	firstPause = 2 * time.Minute // after a failure; then longer, up to lookEvery. For a minute autocert says no more than that it failed
)

// ACME has certificates from an authority, which it renews when a third of their time is left (at most 30 days).
type ACME struct {
	names   []string
	log     *slog.Logger
	manager *autocert.Manager
	ctx     context.Context // of requests to the authority; ends with Close
	cancel  context.CancelFunc
	now     func() time.Time

	mu     sync.Mutex                   // guards what follows
	leaves map[string]*x509.Certificate // by name, as last shown or got
	failed map[string]error             // names that Run could get no certificate for
}

// NewACME makes one; nothing is asked for until somebody asks for a certificate, or Run runs.
func NewACME(a Authority) *ACME {
	ctx, cancel := context.WithCancel(context.Background())
	listed := autocert.HostWhitelist(a.Names...)
	return &ACME{
		names: a.Names, log: a.Log, ctx: ctx, cancel: cancel, now: time.Now, leaves: map[string]*x509.Certificate{}, failed: map[string]error{},
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
// certificate. It takes as long as the authority does if there is none yet, and is an error if it cannot be had. When Run has
// failed to get it, Run alone tries again: authorities shut out whoever asks as often as strangers knock.
func (a *ACME) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) { // a challenge: RFC 8737 section 3
		return a.manager.GetCertificate(hello)
	}
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if !slices.ContainsFunc(a.names, func(n string) bool { return strings.EqualFold(n, name) }) {
		first := *hello
		first.ServerName = a.names[0]
		hello, name = &first, strings.ToLower(a.names[0])
	}
	if err := a.hopeless(name); err != nil {
		return nil, err
	}
	cert, err := a.manager.GetCertificate(hello)
	if err == nil {
		a.got(name, cert)
	}
	return cert, err
}

// hopeless is why Run could get no certificate for a name, if there is none.
func (a *ACME) hopeless(name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaves[name] != nil {
		return nil
	}
	return a.failed[name]
}

// got remembers a certificate of a name: that which Run gets. Beside it, whoever takes no keys of elliptic curves is shown one of RSA.
func (a *ACME) got(name string, cert *tls.Certificate) {
	if cert.Leaf.PublicKeyAlgorithm != x509.ECDSA {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.failed, name)
	if before := a.leaves[name]; before == nil || !before.NotAfter.Equal(cert.Leaf.NotAfter) {
		a.log.Info("another certificate is in force", "name", name, "expires", cert.Leaf.NotAfter)
	}
	a.leaves[name] = cert.Leaf
}

// look gets the certificate of a name, unless there is one. The error is the authority's, or of getting there.
func (a *ACME) look(name string) error {
	cert, err := a.manager.GetCertificate(&tls.ClientHelloInfo{ServerName: name, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})
	name = strings.ToLower(name)
	if err == nil {
		a.got(name, cert)
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed[name] = err
	return err
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
			if err := a.look(name); err != nil && ctx.Err() == nil {
				failed = true
				a.log.Error("no certificate can be had", "name", name, "again", pause, "error", err)
			}
		}
		for _, line := range a.overdue() {
			a.log.Error(line)
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
	for _, leaf := range a.leaves {
		if first.IsZero() || leaf.NotAfter.Before(first) {
			first = leaf.NotAfter
		}
	}
	return first
}

// Degraded has a line for each name that no certificate could be had for, and for each certificate that is not renewed.
func (a *ACME) Degraded() (lines []string) {
	a.mu.Lock()
	for _, name := range slices.Sorted(maps.Keys(a.failed)) {
		lines = append(lines, "no certificate for "+name+": "+a.failed[name].Error())
	}
	a.mu.Unlock()
	return append(lines, a.overdue()...)
}

// overdue has a line for each certificate that should have been renewed long ago: when half of the time is over in which autocert
// tries that, each half hour to hour, without a word.
func (a *ACME) overdue() (lines []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(a.leaves)) {
		leaf := a.leaves[name]
		tried := min(leaf.NotAfter.Sub(leaf.NotBefore)/3, 30*24*time.Hour)
		if a.now().After(leaf.NotAfter.Add(-tried / 2)) {
			lines = append(lines, fmt.Sprintf("the certificate for %s has not been renewed, and ends on %s UTC", name, leaf.NotAfter.UTC().Format(time.DateTime)))
		}
	}
	return lines
}

// Close ends what is asked of the authority; certificates that there are go on being shown.
func (a *ACME) Close() { a.cancel() }

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
