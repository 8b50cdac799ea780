package datadir

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOneHostPerFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "data")
	require.False(t, Used(path))
	require.False(t, Used(t.TempDir()), "a folder of others")
	d, err := Open(path)
	require.NoError(t, err)
	require.True(t, Used(path))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	_, err = Open(path)
	require.EqualError(t, err, fmt.Sprintf("data folder %s: another host (process %d) is using it", path, os.Getpid()))

	require.Equal(t, filepath.Join(path, "x"), d.Path("x"))
	require.Equal(t, "/srv/x", d.Path("/srv/x"))
	sub, err := d.Make("keys")
	require.NoError(t, err)
	require.DirExists(t, sub)

	require.NoError(t, d.Close())
	require.True(t, Used(path), "by one that does not run")
	d, err = Open(path)
	require.NoError(t, err, "free again")
	require.NoError(t, d.Close())
}

func TestAFileIsNoFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := Open(path)
	require.ErrorContains(t, err, "data folder: mkdir "+path+": not a directory")
}
