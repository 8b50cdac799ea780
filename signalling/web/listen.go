package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"rendezvous/internal/anyaddr"
)

// listeners opens the HTTP sockets. Plain HTTP without leave to be insecure stays on
// loopback, on both of its addresses where the machine has both.
func (d *Door) listeners(ctx context.Context) ([]net.Listener, error) {
	var lc net.ListenConfig
	host, port, err := net.SplitHostPort(d.cfg.Listen)
	if err != nil {
		return nil, err
	}
	if d.cfg.tls() || d.cfg.InsecureHTTP || !isUnspecified(host) {
		l, err := anyaddr.Listen(ctx, d.cfg.Listen)
		if err != nil {
			return nil, err
		}
		return []net.Listener{l}, nil
	}
	var list []net.Listener
	l4, err := lc.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", port))
	switch {
	case err == nil:
		_, port, _ = net.SplitHostPort(l4.Addr().String())
		list = append(list, l4)
	case !errors.Is(err, syscall.EADDRNOTAVAIL) && !errors.Is(err, syscall.EAFNOSUPPORT):
		return nil, err
	}
	if l6, err := lc.Listen(ctx, "tcp6", net.JoinHostPort("::1", port)); err == nil {
		list = append(list, l6)
	}
	if len(list) == 0 {
		return nil, err
	}
	d.log.Info("without TLS the page is served on loopback only; set a certificate, ACME or plain_http to change that")
	return list, nil
}

// tlsConfig returns the server's TLS settings, nil for plain HTTP, and the handler
// that answers http-01 challenges, nil without ACME.
func (d *Door) tlsConfig() (*tls.Config, http.Handler, error) {
	switch {
	case len(d.cfg.ACME.Hosts) > 0:
		m := &autocert.Manager{
			Prompt:     autocert.AcceptTOS,
			HostPolicy: autocert.HostWhitelist(d.cfg.ACME.Hosts...),
			Cache:      autocert.DirCache(d.cfg.ACME.CacheDir),
			Email:      d.cfg.ACME.Email,
		}
		if d.cfg.ACME.Directory != "" {
			m.Client = &acme.Client{DirectoryURL: d.cfg.ACME.Directory}
		}
		cfg := m.TLSConfig()
		cfg.MinVersion = tls.VersionTLS12
		return cfg, m.HTTPHandler(nil), nil
	case d.cfg.CertFile != "":
		files := &certificate{certFile: d.cfg.CertFile, keyFile: d.cfg.KeyFile, now: time.Now}
		if _, err := files.get(nil); err != nil {
			return nil, nil, err
		}
		return &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: files.get,
			NextProtos:     []string{"h2", "http/1.1"},
		}, nil, nil
	}
	return nil, nil, nil
}

// certificate is a certificate in files that somebody else renews.
type certificate struct {
	certFile, keyFile string
	now               func() time.Time

	mu      sync.Mutex
	cert    *tls.Certificate // guarded by mu, as are the two below
	changed time.Time
	looked  time.Time
}

// certRecheck is how often the files are looked at, at most.
const certRecheck = time.Minute

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.cert != nil && now.Sub(c.looked) < certRecheck {
		return c.cert, nil
	}
	c.looked = now
	fi, err := os.Stat(c.certFile)
	if err == nil && c.cert != nil && fi.ModTime().Equal(c.changed) {
		return c.cert, nil
	}
	if err == nil {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile); err == nil {
			c.cert, c.changed = &pair, fi.ModTime()
			return c.cert, nil
		}
	}
	if c.cert != nil {
		return c.cert, nil // half-written files: the old certificate is better than none
	}
	return nil, fmt.Errorf("loading the TLS certificate: %w", err)
}

// serve runs an HTTP server on a listener until Close. Whether with TLS cannot be read off the
// server: once it serves one listener it has a TLSConfig in any case.
func (d *Door) serve(s *http.Server, l net.Listener, secure bool) {
	d.serving.Go(func() {
		var err error
		if secure {
			err = s.ServeTLS(l, "", "")
		} else {
			err = s.Serve(l)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("the web server has stopped", "addr", l.Addr().String(), "error", err)
		}
	})
}
