package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"

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
	if d.cfg.TLS != nil || d.cfg.InsecureHTTP || !isUnspecified(host) {
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

// redirect sends people who came by plain HTTP on to the page.
func (d *Door) redirect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "this is served at "+d.base, http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, d.base+r.URL.RequestURI(), http.StatusMovedPermanently)
}

// openRedirect opens the server that does.
func (d *Door) openRedirect(ctx context.Context) error {
	l, err := anyaddr.Listen(ctx, d.cfg.Redirect)
	if err != nil {
		return fmt.Errorf("web: listening on %s: %w", d.cfg.Redirect, err)
	}
	var handler http.Handler = http.HandlerFunc(d.redirect)
	if d.cfg.Challenges != nil {
		handler = d.cfg.Challenges(handler)
	}
	plain := d.server(handler)
	d.servers = append(d.servers, plain)
	d.serve(plain, l, false)
	return nil
}

// serve runs an HTTP server on a listener until Close, for as many connections as there may be, counted before TLS. Whether with TLS cannot be read off the
// server: once it serves one listener it has a TLSConfig in any case.
func (d *Door) serve(s *http.Server, l net.Listener, secure bool) {
	l = d.limits.connections.Listener(l)
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
