package certificate

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// An authority that hangs does not hold up the end, and what was wrong is told.
func TestAuthorityThatHangs(t *testing.T) {
	asked := make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	a := NewACME(Authority{Names: []string{"meet.example.org"}, Directory: server.URL, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	require.True(t, a.Expires().IsZero())
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); a.Run(ctx) }()
	<-asked
	stop()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("the authority is waited for")
	}
	require.Len(t, a.Degraded(), 1)
	require.Contains(t, a.Degraded()[0], "no certificate for meet.example.org: ")
}

// Who asks for other names cannot make the host ask for certificates for them.
func TestOtherNames(t *testing.T) {
	var asked int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked++; http.Error(w, "no", http.StatusTeapot) }))
	defer server.Close()
	a := NewACME(Authority{Names: []string{"meet.example.org"}, Directory: server.URL, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	for _, name := range []string{"", "other.example.org", "127.0.0.1"} {
		_, err := a.Get(&tls.ClientHelloInfo{ServerName: name, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})
		require.Error(t, err)
	}
	require.Positive(t, asked)
	_, err := a.Get(&tls.ClientHelloInfo{ServerName: "other.example.org", SupportedProtos: []string{"acme-tls/1"}})
	require.ErrorContains(t, err, "no token cert")

	h := a.Challenges(http.NotFoundHandler())
	for host, want := range map[string]int{"meet.example.org": 404, "meet.example.org:8080": 404, "other.example.org": 403} {
		r := httptest.NewRequest("GET", "http://"+host+"/.well-known/acme-challenge/x", nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, want, w.Code, host)
	}
}

// Who knocks while no certificate can be had does not make the host ask the authority more often, which would shut it out; the host
// itself tries again, and why it failed stays known.
func TestKnocksAskNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewACME(Authority{Names: []string{"meet.example.org"}, Directory: "https://ca.invalid", Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
		asked := 0
		a.manager.Client.HTTPClient = &http.Client{Transport: answering(func(*http.Request) (*http.Response, error) {
			asked++
			return nil, errors.New("the authority is shut")
		})}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); a.Run(ctx) }()
		synctest.Wait() // it has tried
		for from := time.Now(); time.Since(from) < 3*time.Hour; time.Sleep(10 * time.Second) {
			_, err := a.Get(&ecdsaOnly)
			require.Error(t, err)
			require.Len(t, a.Degraded(), 1)
			require.Contains(t, a.Degraded()[0], "the authority is shut")
		}
		stop()
		<-done
		require.Greater(t, asked, 4, "the host tries again")
		require.Less(t, asked, 12, "and only the host")
		time.Sleep(time.Hour) // what autocert has begun
	})
}

// Two certificates of one name, for those who take that of an elliptic curve's key and for those who do not, are not one that changes.
func TestTwoKindsOfKeys(t *testing.T) {
	dir := t.TempDir()
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	until := time.Now().Add(60 * 24 * time.Hour).Truncate(time.Second)
	keep(t, filepath.Join(dir, "meet.example.org"), curve, until)
	keep(t, filepath.Join(dir, "meet.example.org+rsa"), large, until.Add(-time.Hour))
	var said bytes.Buffer
	a := NewACME(Authority{Names: []string{"meet.example.org"}, Dir: dir, Log: slog.New(slog.NewTextHandler(&said, nil))})
	for range 3 {
		for algorithm, hello := range map[x509.PublicKeyAlgorithm]tls.ClientHelloInfo{x509.ECDSA: ecdsaOnly, x509.RSA: rsaOnly} {
			cert, err := a.Get(&hello)
			require.NoError(t, err)
			require.Equal(t, algorithm, cert.Leaf.PublicKeyAlgorithm)
		}
	}
	require.Equal(t, 1, strings.Count(said.String(), "another certificate is in force"), said.String())
	require.True(t, until.Equal(a.Expires()))
}

// A certificate that should have been renewed long ago is told of before it ends.
func TestRenewalThatFails(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	until := time.Now().Add(40 * 24 * time.Hour).Truncate(time.Second)
	keep(t, filepath.Join(dir, "meet.example.org"), key, until)
	a := NewACME(Authority{Names: []string{"meet.example.org"}, Dir: dir, Log: slog.New(slog.DiscardHandler)})
	now := time.Now()
	a.now = func() time.Time { return now }
	_, err = a.Get(&ecdsaOnly)
	require.NoError(t, err)
	require.Empty(t, a.Degraded())
	now = until.Add(-16 * 24 * time.Hour) // it is being tried
	require.Empty(t, a.Degraded())
	now = until.Add(-14 * 24 * time.Hour)
	require.Equal(t, []string{"the certificate for meet.example.org has not been renewed, and ends on " + until.UTC().Format(time.DateTime) + " UTC"}, a.Degraded())
}

// What clients take.
var (
	ecdsaOnly = tls.ClientHelloInfo{ServerName: "meet.example.org", CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
	rsaOnly   = tls.ClientHelloInfo{ServerName: "meet.example.org", CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}
)

// answering is an HTTP transport.
type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// keep writes a certificate for meet.example.org, good for 90 days that end at until, as autocert keeps it.
func keep(t *testing.T, file string, key crypto.Signer, until time.Time) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"meet.example.org"}, NotBefore: until.AddDate(0, 0, -90), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	var text bytes.Buffer
	for _, block := range []pem.Block{{Type: "PRIVATE KEY", Bytes: private}, {Type: "CERTIFICATE", Bytes: der}} {
		require.NoError(t, pem.Encode(&text, &block))
	}
	require.NoError(t, os.WriteFile(file, text.Bytes(), 0o600))
}
