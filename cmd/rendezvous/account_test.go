package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/dht/identity"
	"rendezvous/internal/datadir"
)

// A room's account goes into a file and comes back as another room's, whole.
func TestAccountExportAndImport(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	keys, err := identity.NewAccountBits(time.Now(), 2048)
	require.NoError(t, err)
	rooms := s.Data("jami")
	require.NoError(t, keys.Save(filepath.Join(rooms, "main", "identity")))
	file, secret := filepath.Join(s.Dir, "main.gz"), filepath.Join(s.Dir, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("open sesame\n"), 0o600))
	run := func(env string, args ...string) (string, error) {
		cmd := s.Command(t.Context(), append([]string{"account"}, args...)...)
		cmd.Env = append(cmd.Env, env)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	refused := func(why string, env string, args ...string) {
		t.Helper()
		out, err := run(env, args...)
		require.Error(t, err, out)
		require.Contains(t, out, why)
	}
	password := passwordEnv + "=open sesame"

	refused("no terminal to ask", "", "export", "main", file)
	refused("no Jami account", password, "export", "other", file)
	refused("no room id", password, "export", "../main", file)
	out, err := run("", "export", "main", file, "--password-file", secret)
	require.NoError(t, err, out)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	refused("exists already", password, "export", "main", file)

	refused("wrong password", passwordEnv+"=other", "import", "other", file)
	require.NoDirExists(t, filepath.Join(rooms, "other"))
	refused("has an account already", password, "import", "main", file)
	out, err = run(password, "import", "other", file)
	require.NoError(t, err, out)
	again, err := identity.LoadAccount(filepath.Join(rooms, "other", "identity"))
	require.NoError(t, err)
	require.Equal(t, keys.ID(), again.ID())
	require.Equal(t, keys.DeviceLongID(), again.DeviceLongID())

	// An empty password leaves a backup unprotected: no time is taken to make a key of it.
	open := filepath.Join(s.Dir, "open.gz")
	out, err = run(passwordEnv+"=", "export", "main", open)
	require.NoError(t, err, out)
	out, err = run(passwordEnv+"=", "import", "other", open, "--replace")
	require.NoError(t, err, out)
	again, err = identity.LoadAccount(filepath.Join(rooms, "other", "identity"))
	require.NoError(t, err)
	require.Equal(t, keys.ID(), again.ID())
	entries, err := filepath.Glob(filepath.Join(rooms, "*"))
	require.NoError(t, err)
	require.Len(t, entries, 3, "main, other, and what other was before")

	data, err := datadir.Open(s.Data(""))
	require.NoError(t, err)
	defer data.Close()
	refused("another host", password, "import", "third", file)
}
