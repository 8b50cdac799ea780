package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is wrong for one architecture only, in the program or in its tests, is found for that one.
func TestOfAnotherArchitecture(t *testing.T) {
	t.Setenv("GOFLAGS", "") // which may name a module file of ours
	t.Setenv("CGO_ENABLED", "0")
	for _, name := range []string{"code_arm64.go", "code_arm64_test.go"} {
		dir := t.TempDir()
		for file, text := range map[string]string{
			"go.mod":  "module subject\n",
			"code.go": "package subject\n",
			name:      "package subject\n\nvar n int8 = 128\n",
		} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644))
		}
		t.Setenv("GOARCH", "amd64")
		n, err := check(dir, []string{"./..."})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		t.Setenv("GOARCH", "arm64")
		_, err = check(dir, []string{"./..."})
		require.ErrorContains(t, err, name+":3:14: ")
	}
	_, err := check(t.TempDir(), []string{"./..."})
	require.Error(t, err)
}
