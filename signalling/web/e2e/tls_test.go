package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rendezvous/conference/settings"
	"rendezvous/internal/certificate"
	"rendezvous/internal/certificate/certificatetest"
	"rendezvous/internal/lab/browser"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/webtest"
)

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certificatetest.Issue(t, cert, key, 1)
	files, err := certificate.OpenFiles(cert, key, slog.New(slog.NewTextHandler(t.Output(), nil)))
	must(t, err)
	h := webtest.Open(t, []settings.Room{{ID: "lab"}}, func(c *web.Config) { c.TLS = files.Server() })
	if !strings.HasPrefix(h.Door.URL(), "https://localhost:") {
		t.Fatalf("URL %s", h.Door.URL())
	}
	pool := x509.NewCertPool()
	text, err := os.ReadFile(cert)
	must(t, err)
	pool.AppendCertsFromPEM(text)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
	resp, err := client.Get(h.Door.URL() + "/r/lab")
	must(t, err)
	defer resp.Body.Close()
	if resp.Header.Get("Strict-Transport-Security") == "" {
		t.Error("no Strict-Transport-Security")
	}
	if c := resp.Cookies(); len(c) != 1 || !c[0].Secure {
		t.Errorf("the cookie goes over plain HTTP too: %v", c)
	}
	// HTTP/2 for the page, WebSocket over HTTP/1.1 beside it.
	b := start(t, browser.Options{Color: red, Tone: 500, Flags: []string{"ignore-certificate-errors"}})
	must(t, b.Join(h.Door.Addresses("lab")[0], "Ann", ""))
	var protocol string
	must(t, b.Eval(`performance.getEntriesByType('navigation')[0].nextHopProtocol`, &protocol))
	if protocol != "h2" {
		t.Errorf("the page came by %s", protocol)
	}
	clean(t, b)
}
