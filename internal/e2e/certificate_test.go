package e2e

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/eventually"
	"rendezvous/internal/hosttest"
	"rendezvous/internal/lab/pebble"
)

// The page and phones are shown one certificate, which a certificate authority that nobody here wrote (Pebble) has issued, and
// renews while the host runs; OpenSSL looks.
func TestOneCertificateForPageAndPhones(t *testing.T) {
	for name, c := range map[string]struct {
		overHTTP bool          // the authority does not get to the page's port
		valid    time.Duration // of its certificates
	}{
		"in handshakes": {valid: 18 * time.Second},
		"over HTTP":     {overHTTP: true, valid: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := hosttest.NewSite(t, os.Getenv(envProgram), "../../config.yaml")
			plain := hosttest.FreePorts(t, 1)[0]
			o := pebble.Options{HTTPPort: plain, TLSPort: s.Web, Valid: c.valid}
			if c.overHTTP {
				o.TLSPort = hosttest.FreePorts(t, 1)[0] // where nobody is
			}
			authority := pebble.Start(t, o)
			s.Env = append(s.Env, "SSL_CERT_FILE="+authority.CA, "RENDEZVOUS_WEB_ACME_DIRECTORY="+authority.Directory,
				"RENDEZVOUS_WEB_ACME_DOMAINS=meet.example.org", "RENDEZVOUS_WEB_PUBLIC_URL=https://meet.example.org",
				fmt.Sprintf("RENDEZVOUS_WEB_ACME_HTTP=127.0.0.1:%d", plain))
			h := s.Start()
			h.Await("another certificate is in force") // before anybody has asked for it

			page := shownTo(t, authority, s.Web, "-servername", "meet.example.org")
			phone := shownTo(t, authority, s.TLS, "-noservername") // as many phones do
			require.Equal(t, []string{"meet.example.org"}, page.DNSNames)
			require.Equal(t, page.Raw, phone.Raw)

			resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).
				Get(fmt.Sprintf("http://127.0.0.1:%d/r/main", plain))
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, "https://meet.example.org/r/main", resp.Header.Get("Location"))

			if c.overHTTP {
				return
			}
			time.Sleep(time.Until(page.NotAfter.Add(-c.valid / 3))) // until it is due
			eventually.True(t, "the page is shown a renewed certificate", func() bool {
				return shownTo(t, authority, s.Web, "-servername", "meet.example.org").SerialNumber.Cmp(page.SerialNumber) != 0
			})
			renewed := shownTo(t, authority, s.TLS, "-noservername")
			require.NotEqual(t, page.SerialNumber, renewed.SerialNumber, "the phones have it as well")
			require.True(t, renewed.NotAfter.After(page.NotAfter))
		})
	}
}

// shownTo is the certificate that a port shows OpenSSL, which must find it good.
func shownTo(t *testing.T, a *pebble.Authority, port int, how ...string) *x509.Certificate {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := append([]string{"s_client", "-connect", fmt.Sprintf("127.0.0.1:%d", port), "-CAfile", a.Roots, "-verify_hostname", "meet.example.org",
		"-verify_return_error"}, how...)
	cmd := exec.CommandContext(ctx, "openssl", args...)
	cmd.Stdin = strings.NewReader("")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "Verify return code: 0 (ok)")
	_, rest, found := strings.Cut(string(out), "-----BEGIN CERTIFICATE-----")
	require.True(t, found, "%s", out)
	block, _ := pem.Decode([]byte("-----BEGIN CERTIFICATE-----" + rest))
	require.NotNil(t, block)
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return cert
}
