package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each line of testdata/module that says `want CHECK...` is found by these checks, as the
// go command runs it, and nothing else is.
func TestFindings(t *testing.T) {
	tool := filepath.Join(t.TempDir(), "lint")
	// As scripts/lint.sh builds it: what is known of the standard library is cached.
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", tool, ".")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	// The module there is another than ours, whichever file ours is in.
	vet := exec.CommandContext(t.Context(), "go", "vet", "-modfile=", "-vettool="+tool, "./...")
	vet.Dir = "testdata/module"
	out, err = vet.CombinedOutput()
	_, exited := errors.AsType[*exec.ExitError](err)
	require.True(t, exited, "%v: %s", err, out)

	var found []string
	for _, m := range regexp.MustCompile(`(?m)^(?:vet: )?(\S+\.go:\d+):\d+: .* \((\w+)\)$`).FindAllStringSubmatch(string(out), -1) {
		found = append(found, m[1]+": "+m[2])
	}
	require.ElementsMatch(t, wanted(t, vet.Dir), found, "%s", out)
}

func wanted(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var want []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			_, checks, _ := strings.Cut(line, " want ")
			for check := range strings.FieldsSeq(checks) {
				want = append(want, fmt.Sprintf("%s:%d: %s", filepath.Base(file), n, check))
			}
		}
	}
	require.NotEmpty(t, want)
	return want
}
