// Package certificate has the certificate that a host shows browsers and phones: one of files that somebody else renews, or
// one that it gets and renews by itself from a certificate authority by ACME (RFC 8555). Whoever is shown it asks with each
// handshake, so that a renewed one takes effect at once, everywhere, and without a restart.
package certificate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// recheck is how often files are looked at, at most.
const recheck = time.Minute

// Files is a certificate chain and its key in PEM files that somebody else renews.
type Files struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu      sync.Mutex
	cert    *tls.Certificate // guarded by mu, as is all below
	changed time.Time        // the files, as they were read
	looked  time.Time        // at them
	failure string           // of reading them anew, as it was told last; "": none
}

// OpenFiles reads the files, which it is an error not to find or to be able to use.
func OpenFiles(certFile, keyFile string, log *slog.Logger) (*Files, error) {
	f := &Files{certFile: certFile, keyFile: keyFile, log: log, now: time.Now}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Get is a tls.Config's GetCertificate: it has the certificate of the files as they were within the last minute. While
// they cannot be used, because one of them is half-written or not replaced yet, the last one that could is better than none.
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); now.Sub(f.looked) >= recheck {
		f.looked = now
		f.tell(f.read(false))
	}
	return f.cert, nil
}

// Reload reads the files at once. After an error, which names the file, the last certificate that could be used stays.
func (f *Files) Reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked = f.now()
	err := f.read(true)
	f.failure = text(err) // the caller tells
	return err
}

// Expires is when the certificate is no longer valid.
func (f *Files) Expires() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cert.Leaf.NotAfter
}

// Degraded has a line if the files cannot be read anew, and one if the certificate has ended.
func (f *Files) Degraded() (lines []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != "" {
		lines = append(lines, "the certificate stays as it was: "+f.failure)
	}
	if until := f.cert.Leaf.NotAfter; f.now().After(until) {
		lines = append(lines, fmt.Sprintf("the certificate %s has ended on %s UTC", f.certFile, until.UTC().Format(time.DateTime)))
	}
	return lines
}

// Server are the settings of a server of web pages that shows the certificate.
func (f *Files) Server() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: f.Get}
}

// read takes the files over if they have changed, or in any case; f.mu is held.
func (f *Files) read(anyway bool) error {
	changed, err := newest(f.certFile, f.keyFile)
	if err != nil {
		return fmt.Errorf("loading the TLS certificate: %w", err)
	}
	if !anyway && changed.Equal(f.changed) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(f.certFile, f.keyFile)
	if err != nil {
		return fmt.Errorf("loading the TLS certificate %s with its key %s: %w", f.certFile, f.keyFile, err)
	}
	if f.cert != nil && !pair.Leaf.Equal(f.cert.Leaf) {
		f.log.Info("another certificate is in force", "file", f.certFile, "expires", pair.Leaf.NotAfter)
	}
	f.cert, f.changed = &pair, changed
	return nil
}

// tell logs why the files are not taken over, each reason once; f.mu is held.
func (f *Files) tell(err error) {
	if err != nil && text(err) != f.failure {
		f.log.Error("the certificate stays as it was", "error", err)
	}
	f.failure = text(err)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// newest is when the last of the files was changed.
func newest(paths ...string) (at time.Time, err error) {
	for _, path := range paths {
		info, e := os.Stat(path)
		if e != nil {
			err = errors.Join(err, e)
		} else if info.ModTime().After(at) {
			at = info.ModTime()
		}
	}
	return at, err
}
