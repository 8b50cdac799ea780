// Package gitrepo looks at repositories of conversations with the git program, which knows
// nothing of them.
package gitrepo

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Git runs git in a folder, whoever owns it, with no settings but its own, and returns what it prints.
func Git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	c := exec.Command("git", append([]string{"-C", dir}, args...)...)
	c.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Commits lists the ids of all commits but merges, which every member may make for themselves.
func Commits(t testing.TB, dir string) string {
	t.Helper()
	ids := strings.Fields(Git(t, dir, "log", "--no-merges", "--format=%H", "main"))
	slices.Sort(ids)
	return strings.Join(ids, "\n")
}
