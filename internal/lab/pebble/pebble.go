// Package pebble starts Pebble, the certificate authority for tests (ACME, RFC 8555) of Let's Encrypt's, with a name server
// that answers every name with 127.0.0.1. It needs Debian's package of that name.
package pebble

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"rendezvous/internal/certificate/certificatetest"
	"rendezvous/internal/freeport"
)

// patience is how long it may take to start, on a busy machine.
const patience = 20 * time.Second

// Options are what an authority does.
type Options struct {
	HTTPPort, TLSPort int           // where it comes to see whether a name is somebody's: http-01, tls-alpn-01
	Valid             time.Duration // how long its certificates are good for, in seconds
}

// Authority is a running one.
type Authority struct {
	Directory string // its URL
	CA        string // PEM file with the certificate that the directory itself is served with
	Roots     string // PEM file with the root of the certificates that it issues
}

// Start runs one until the test ends. What it said is shown if the test fails.
func Start(t testing.TB, o Options) *Authority {
	t.Helper()
	dir := t.TempDir()
	ports, err := freeport.Take(4)
	must(t, err)
	directory, management, dns := local(ports[0]), local(ports[1]), local(ports[2])
	a := &Authority{Directory: "https://" + directory + "/dir", CA: filepath.Join(dir, "ca.pem"), Roots: filepath.Join(dir, "roots.pem")}
	key := filepath.Join(dir, "key.pem")
	certificatetest.Issue(t, a.CA, key, 1)
	conf, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": directory, "managementListenAddress": management, "certificate": a.CA, "privateKey": key,
		"httpPort": o.HTTPPort, "tlsPort": o.TLSPort, "certificateValidityPeriod": int(o.Valid / time.Second),
	}})
	must(t, err)
	file := filepath.Join(dir, "pebble.json")
	must(t, os.WriteFile(file, conf, 0o600))

	run(t, exec.Command("pebble-challtestsrv", "-dns01", dns, "-management", local(ports[3]), "-http01", "", "-https01", "", "-tlsalpn01", "",
		"-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""))
	cmd := exec.Command("pebble", "-config", file, "-strict", "-dnsserver", dns)
	// By default one nonce in twenty is refused, which costs x/crypto/acme seconds of a certificate that is good for a few.
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
	run(t, cmd)
	must(t, os.WriteFile(a.Roots, root(t, a.CA, management), 0o600))
	return a
}

// root asks an authority, as soon as it answers, for the root of its certificates.
func root(t testing.TB, ca, management string) []byte {
	t.Helper()
	text, err := os.ReadFile(ca)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // between two tries
		resp, err := client.Get("https://" + management + "/roots/0")
		if err == nil {
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			must(t, err)
			return text
		}
		if time.Now().After(end) {
			t.Fatalf("pebble does not start: %v", err)
		}
	}
}

// run starts a program that runs until the test ends.
func run(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("needs the Debian package pebble: %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("%s:\n%s", cmd.Path, said.String())
		}
	})
}

func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
