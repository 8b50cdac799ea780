package certificate

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/certificate/certificatetest"
)

// listen takes handshakes until the test ends.
func listen(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).Handshake() // the client tells
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// shown is the serial number of the certificate that a server shows.
func shown(t *testing.T, addr string) int64 {
	t.Helper()
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 30 * time.Second}, "tcp", addr, &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func TestRenewedFilesAreShownByAll(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certificatetest.Issue(t, certFile, keyFile, 1)
	var said bytes.Buffer
	f, err := OpenFiles(certFile, keyFile, slog.New(slog.NewTextHandler(&said, nil)))
	require.NoError(t, err)
	now := time.Now()
	f.now = func() time.Time { return now }
	page, phones := listen(t, f.Server()), listen(t, &tls.Config{GetCertificate: f.Get})
	require.EqualValues(t, []int64{1, 1}, []int64{shown(t, page), shown(t, phones)})

	// Another certificate is shown within a minute, in new handshakes of both.
	certificatetest.Issue(t, certFile, keyFile, 2)
	require.NoError(t, os.Chtimes(keyFile, time.Time{}, time.Now().Add(time.Second)))
	require.EqualValues(t, []int64{1, 1}, []int64{shown(t, page), shown(t, phones)}, "the files are looked at once a minute")
	now = now.Add(recheck)
	require.EqualValues(t, []int64{2, 2}, []int64{shown(t, page), shown(t, phones)})
	require.WithinDuration(t, time.Now().Add(2*time.Hour), f.Expires(), time.Minute)

	// A key that belongs to another certificate, and one that is gone: the last one that could be used stays, and that is said once.
	certificatetest.Issue(t, filepath.Join(dir, "other.pem"), keyFile, 3)
	require.NoError(t, os.Chtimes(keyFile, time.Time{}, time.Now().Add(2*time.Second)))
	for range 3 {
		now = now.Add(recheck)
		require.EqualValues(t, 2, shown(t, page))
	}
	require.Equal(t, 1, strings.Count(said.String(), "the certificate stays as it was"), said.String())
	require.NoError(t, os.Remove(keyFile))
	now = now.Add(recheck)
	require.EqualValues(t, 2, shown(t, phones))
	require.ErrorContains(t, f.Reload(), "no such file or directory")
	require.Len(t, f.Degraded(), 1)
	require.Contains(t, f.Degraded()[0], "no such file or directory")

	// A reload looks at once.
	certificatetest.Issue(t, certFile, keyFile, 4)
	require.NoError(t, f.Reload())
	require.EqualValues(t, []int64{4, 4}, []int64{shown(t, page), shown(t, phones)})
	require.NotContains(t, said.String(), "PRIVATE")

	// It is told of when it has ended, and nobody has renewed it.
	require.Empty(t, f.Degraded())
	now = f.Expires().Add(time.Second)
	require.Equal(t, []string{"the certificate " + certFile + " has ended on " + f.Expires().UTC().Format(time.DateTime) + " UTC"}, f.Degraded())
}

func TestFilesThatAreNoCertificate(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	log := slog.New(slog.DiscardHandler)
	_, err := OpenFiles(certFile, keyFile, log)
	require.ErrorContains(t, err, "no such file or directory")
	certificatetest.Issue(t, certFile, keyFile, 1)
	_, err = OpenFiles(keyFile, certFile, log)
	require.ErrorContains(t, err, "loading the TLS certificate "+keyFile+" with its key "+certFile)
}
