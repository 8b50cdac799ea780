package sdnotify

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSend(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	require.NoError(t, Send(Ready), "no systemd")

	socket := filepath.Join(t.TempDir(), "n")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	require.NoError(t, err)
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	require.NoError(t, Send(Stopping))
	b := make([]byte, 64)
	n, err := l.Read(b)
	require.NoError(t, err)
	require.Equal(t, "STOPPING=1", string(b[:n]))
}
