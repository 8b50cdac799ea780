package atomicfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, text := range []string{"one", "another"} {
		require.NoError(t, Write(path, []byte(text), 0o600))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, text, string(got))
	}
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, list, 1, "something was left behind")
	require.ErrorIs(t, Write(filepath.Join(dir, "missing", "file"), nil, 0o600), os.ErrNotExist)
}

func TestFolders(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b")
	require.NoError(t, MkdirAll(deep, 0o700))
	require.NoError(t, MkdirAll(deep, 0o700), "once more")
	require.NoError(t, Write(filepath.Join(deep, "x"), nil, 0o600))
	require.NoError(t, Rename(filepath.Join(deep, "x"), filepath.Join(dir, "y")))
	require.FileExists(t, filepath.Join(dir, "y"))
	require.NoError(t, Remove(filepath.Join(dir, "y")))
	require.ErrorIs(t, Remove(filepath.Join(dir, "y")), os.ErrNotExist)
	require.NoError(t, Write(filepath.Join(dir, "file"), nil, 0o600))
	require.Error(t, MkdirAll(filepath.Join(dir, "file", "c"), 0o700), "a file is in the way")
}

// What a crash has left is removed, and nothing else.
func TestTidy(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".file.123.tmp", "file", "other.tmp", ".hidden"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, Tidy(dir))
	require.NoError(t, Tidy(filepath.Join(dir, "missing")))
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	require.Equal(t, []string{".hidden", "file", "other.tmp"}, names)
}
