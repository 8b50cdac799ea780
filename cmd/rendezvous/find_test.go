package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"rendezvous/internal/datadir"
)

// Without a flag commands are about the host whose data folder is here, and else about the installed one.
func TestFindTheHost(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	p := places{"config.yaml", filepath.Join(dir, "etc/config.yaml"), filepath.Join(dir, "lib")}
	found := func(want site) {
		t.Helper()
		got, err := p.find()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	write := func(file, text string) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}

	found(site{"config.yaml", "data"}) // there is none at all: the one that would be started here
	require.Equal(t, "config.yaml", p.configuration())

	write(p.installed, "data: /srv/meetings\nmistake: 1\n")
	found(site{p.installed, "/srv/meetings"})
	require.Equal(t, p.installed, p.configuration())
	write(p.installed, "drain: 20s\n")
	found(site{p.installed, filepath.Join(p.dir, "data")})

	write("config.yaml", "image: postgres\n") // another program's, or of a host that has never run
	found(site{p.installed, filepath.Join(p.dir, "data")})
	require.Equal(t, "config.yaml", p.configuration())
	write("config.yaml", "data: rooms\n")
	require.NoError(t, os.Mkdir("rooms", 0o700)) // nor is that a host's
	found(site{p.installed, filepath.Join(p.dir, "data")})
	run := func(data string) {
		t.Helper()
		d, err := datadir.Open(data)
		require.NoError(t, err)
		require.NoError(t, d.Close())
	}
	run("rooms")
	found(site{"config.yaml", "rooms"})
	require.NoError(t, os.Remove("config.yaml"))
	found(site{p.installed, filepath.Join(p.dir, "data")})
	run("data")
	found(site{"config.yaml", "data"})

	t.Setenv("RENDEZVOUS_DATA", "/nowhere") // as in the image, whose configuration is the installed one
	found(site{p.installed, "/nowhere"})
	write("config.yaml", "")
	found(site{"config.yaml", "/nowhere"})
}

// Whoever becomes the host's account where they were, in a home that is closed to others, means the installed host.
func TestFindTheHostFromAHomeOfOthers(t *testing.T) {
	dir, err := os.MkdirTemp("", "home") // t.TempDir is closed to others itself
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	require.NoError(t, os.Chmod(dir, 0o755))
	home := filepath.Join(dir, "home")
	require.NoError(t, os.Mkdir(home, 0o700))
	t.Chdir(home)
	p := places{"config.yaml", filepath.Join(dir, "etc.yaml"), "/srv"}
	require.NoError(t, os.WriteFile(p.installed, []byte("data: /srv/meetings"), 0o644))
	asStranger(t, func() {
		got, err := p.find()
		require.NoError(t, err)
		require.Equal(t, site{p.installed, "/srv/meetings"}, got)
	})
}

// Who may not look at the host is told who may.
func TestTheHostOfOthers(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	p := places{"config.yaml", filepath.Join(dir, "etc.yaml"), dir}
	require.NoError(t, os.WriteFile(p.installed, nil, 0))
	asStranger(t, func() {
		_, err := p.find()
		require.EqualError(t, err, "only root and the host's own account may ask the host of "+p.installed+"; try with sudo")
	})
}

// asStranger runs f in a thread that, for files, is of an account without rights.
func asStranger(t *testing.T, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.SetfsuidRetUid(65534)
	require.NoError(t, err)
	defer func() {
		_, err := unix.SetfsuidRetUid(before)
		require.NoError(t, err)
	}()
	f()
}
