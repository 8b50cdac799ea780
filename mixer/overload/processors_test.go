package overload

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// A container may use what the narrowest of the groups that it is in may use.
func TestProcessors(t *testing.T) {
	root := t.TempDir()
	all := float64(runtime.GOMAXPROCS(0))
	self := filepath.Join(root, "self")
	require.Equal(t, all, processors(self, root), "no control groups")
	inner := filepath.Join(root, "outer", "inner")
	require.NoError(t, os.MkdirAll(inner, 0o700))
	write := func(file, text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write(self, "1:name=systemd:/\n0::/outer/inner\n")
	require.Equal(t, all, processors(self, root), "no limits")
	write(filepath.Join(inner, "cpu.max"), "max 100000\n")
	require.Equal(t, all, processors(self, root))
	write(filepath.Join(inner, "cpu.max"), "80000 100000\n")
	require.InDelta(t, .8, processors(self, root), 1e-9)
	write(filepath.Join(root, "outer", "cpu.max"), "25000 50000\n")
	require.InDelta(t, .5, processors(self, root), 1e-9)
	for _, bad := range []string{"", "0 100000", "10000", "-1 100000", "x y", "1 0"} {
		write(filepath.Join(root, "outer", "cpu.max"), bad)
		require.InDelta(t, .8, processors(self, root), 1e-9, bad)
	}
}
