package rtc

import (
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/pion/ice/v2"
	"github.com/stretchr/testify/require"

	"rendezvous/internal/connlimit"
	"rendezvous/internal/eventually"
)

// Strangers who connect for media by TCP and say nothing have a bound, and whoever goes makes way.
func TestMediaConnectionsHaveABound(t *testing.T) {
	limiter := connlimit.New(connlimit.Config{All: 10, PerSource: 2})
	e, err := NewEngine(Config{Log: slog.New(slog.DiscardHandler), TCPAddr: "127.0.0.1:0", Loopback: true, Connections: limiter})
	require.NoError(t, err)
	defer e.Close()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", e.tcp.(*ice.TCPMuxDefault).LocalAddr().String())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
		return c
	}
	taken := func() int { all, _ := limiter.Taken(); return all }
	first, second := dial(), dial()
	eventually.True(t, "both have come", func() bool { return taken() == 2 })
	_, err = dial().Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, first.Close())
	eventually.True(t, "one has gone", func() bool { return taken() == 1 })
	third := dial()
	eventually.True(t, "another has come", func() bool { return taken() == 2 })
	second.Close()
	third.Close()
	eventually.True(t, "all have gone", func() bool { return taken() == 0 })
}
