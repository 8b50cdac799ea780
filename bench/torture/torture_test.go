package main

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// A host that is killed and started while its disk is full, whose disk fills, and whose clock is set, has all that it has acknowledged, goes
// on, and has every recording nearly to its end.
func TestTorture(t *testing.T) {
	program := filepath.Join(t.TempDir(), "rendezvous")
	out, err := exec.Command("go", "build", "-o", program, "rendezvous/cmd/rendezvous").CombinedOutput()
	require.NoError(t, err, "%s", out)
	faults := []fault{fullKill, fullDisk}
	if runtime.GOARCH == clockArch {
		faults = append(faults, clockSet)
	} else {
		t.Logf("no clock is set: that is for %s, not %s", clockArch, runtime.GOARCH)
	}
	done, err := torture(t.Context(), options{
		program: program, disks: "tmpfs", artefacts: filepath.Join(t.ArtifactDir(), "torture"), seed: 1,
		faults: faults,
	})
	for _, r := range done.rounds {
		t.Log(r)
		require.Positive(t, r.acked)
		require.Empty(t, r.failures)
	}
	require.NoError(t, err)
	require.Len(t, done.rounds, len(faults))
}

// What was acknowledged must be there, what was taken back must not, and what was never answered may be both.
func TestModel(t *testing.T) {
	m := newModel()
	for what, c := range map[string]certainty{"kept": there, "lost": there, "twice": there, "back": gone, "away": gone, "asked": unknown, "asked and there": unknown} {
		m.set(chats, what, c)
	}
	before := m.copy()
	require.Equal(t, []string{"chat back is back", "chat lost was acknowledged and is lost", "chat twice is there twice"},
		m.compare(chats, map[string]int{"kept": 1, "twice": 2, "back": 1, "asked and there": 1, "of nobody": 1}))
	m.forget(chats, map[string]int{"kept": 1, "twice": 2, "back": 1, "asked and there": 1})
	require.Empty(t, m.compare(chats, map[string]int{"kept": 1, "twice": 2, "back": 1, "asked and there": 1}))
	m.settle(chats, map[string]int{"asked and there": 1})
	require.Equal(t, there, m.sets[chats]["asked and there"])
	require.Equal(t, unknown, m.sets[chats]["asked"])
	require.Equal(t, unknown, before.sets[chats]["asked and there"])
	m.asked(bans, "x")
	m.settle(bans, nil)
	require.Equal(t, gone, m.sets[bans]["x"])
}
