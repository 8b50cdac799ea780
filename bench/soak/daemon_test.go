package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/lab/jamilab"
)

// What a daemon has broken by is told apart: it runs, does not answer, is gone.
func TestFault(t *testing.T) {
	jamilab.Run(t, jamilab.Options{Peers: 1}, func(t *testing.T, l *jamilab.Lab) {
		d := &daemon{Peer: l.Peer(1)}
		recorded, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(d.Home())), "pids", "p1.jamid"))
		require.NoError(t, err)
		pid, err := strconv.Atoi(strings.Fields(string(recorded))[0])
		require.NoError(t, err)
		require.Empty(t, d.fault(t.Context()))

		require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Equal(t, "it does not answer on its bus", d.fault(ctx))

		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		require.Eventually(t, func() bool { return !d.Running() }, 30*time.Second, 20*time.Millisecond)
		require.Equal(t, "its process is gone", d.fault(t.Context()))
	})
}
