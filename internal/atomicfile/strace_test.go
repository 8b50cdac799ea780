package atomicfile

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// envPath names the file that the traced process replaces.
const envPath = "ATOMICFILE_TEST_PATH"

// What the kernel is asked for, and in which order: the content is synced before it has its name, and the name after. That alone
// holds over a power cut on every file system.
func TestOrderOfSystemCalls(t *testing.T) {
	if path := os.Getenv(envPath); path != "" {
		require.NoError(t, Write(path, []byte("new"), 0o600))
		require.NoError(t, Rename(path, path+".moved"))
		require.NoError(t, Remove(path+".moved"))
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", "-f", "-y", "-e", "trace=write,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat", "-o", trace,
		os.Args[0], "-test.run=^TestOrderOfSystemCalls$")
	cmd.Env = append(os.Environ(), envPath+"="+path)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	text, err := os.ReadFile(trace)
	require.NoError(t, err)

	// Of each call that has to do with the folder: its name, and what it is done to.
	call := regexp.MustCompile(`^\d+ +(\w+)\(`)
	var got []string
	for line := range strings.Lines(string(text)) {
		m := call.FindStringSubmatch(line)
		if m == nil || !strings.Contains(line, dir) {
			continue
		}
		what := "folder"
		switch {
		case strings.Contains(line, ".tmp"):
			what = "temporary"
		case strings.Contains(line, path):
			what = "file"
		}
		got = append(got, strings.TrimSuffix(m[1], "at")+" "+what)
	}
	require.Equal(t, []string{
		"write temporary", "fsync temporary", "rename temporary", "fsync folder",
		"rename file", "fsync folder",
		"unlink file", "fsync folder",
	}, got, "%s", text)
}
