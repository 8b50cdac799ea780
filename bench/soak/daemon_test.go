package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/eventually"
	"rendezvous/internal/lab/jamilab"
)

// A daemon that has ended by itself is told from one that works.
func TestFault(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 1}, func(t *testing.T, l *jamilab.Lab) {
		d := &daemon{Peer: l.Peer(1)}
		require.Empty(t, d.fault())

		recorded, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(d.Home())), "pids", "p1.jamid"))
		require.NoError(t, err)
		pid, err := strconv.Atoi(strings.Fields(string(recorded))[0])
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		eventually.True(t, "it is seen to have ended", func() bool { return strings.HasPrefix(d.fault(), "has ended by itself") })
	})
}
