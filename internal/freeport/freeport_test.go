package freeport

import (
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTake(t *testing.T) {
	seen := map[int]bool{}
	for range 3 {
		ports, err := Take(50)
		require.NoError(t, err)
		require.Len(t, ports, 50)
		for _, p := range ports {
			require.False(t, seen[p], "%d is given twice", p)
			seen[p] = true
			require.Zero(t, p%2)
			require.True(t, first <= p && p+apart-1 <= last)
			require.True(t, free(p))
			ours, err := claim(p) // as another process would
			require.NoError(t, err)
			require.False(t, ours)
		}
	}
}

// One that somebody listens at is not free, whichever of the four it is.
func TestTaken(t *testing.T) {
	port, err := One()
	require.NoError(t, err)
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port+3))
	require.NoError(t, err)
	require.False(t, free(port))
	l.Close()
	u, err := net.ListenPacket("udp4", fmt.Sprintf("127.0.0.1:%d", port))
	require.NoError(t, err)
	require.False(t, free(port))
	u.Close()
	require.True(t, free(port))
}
