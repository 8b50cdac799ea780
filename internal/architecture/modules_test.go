package architecture

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const astiav = "github.com/asticode/go-astiav"

// The module files for other FFmpegs differ from go.mod in the release of go-astiav alone, and scripts/goenv.sh knows them all.
func TestModuleFilesAgree(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		return string(text)
	}
	files, err := filepath.Glob(filepath.Join(root, "go.*.mod"))
	require.NoError(t, err)
	var names []string
	versions := map[string]string{}
	for _, file := range files {
		name := filepath.Base(file)
		names = append(names, name)
		version := versionOf(read(name))
		require.NotEmpty(t, version, name)
		require.NotContains(t, versions, version, name)
		versions[version] = name
		sums := strings.TrimSuffix(name, ".mod") + ".sum"
		const renew = "%s: go.mod or go.sum has changed, or this has; scripts/modules.sh writes it anew"
		require.Equal(t, withoutVersion(read("go.mod")), withoutVersion(read(name)), renew, name)
		require.Equal(t, withoutAstiav(read("go.sum")), withoutAstiav(read(sums)), renew, sums)
		require.Contains(t, read(sums), "\n"+astiav+" "+version+" h1:", renew, sums)
		require.Contains(t, read(sums), "\n"+astiav+" "+version+"/go.mod h1:", renew, sums)
	}
	require.NotContains(t, versions, versionOf(read("go.mod")))

	var chosen []string
	for _, m := range regexp.MustCompile(`(?m)\bmodule=(go\.\S+\.mod)\b`).FindAllStringSubmatch(read("scripts/goenv.sh"), -1) {
		chosen = append(chosen, m[1])
	}
	require.ElementsMatch(t, names, chosen)
	require.NotEmpty(t, chosen)
}

var astiavVersion = regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(astiav) + ` (v\S+)$`)

func versionOf(mod string) string {
	if m := astiavVersion.FindStringSubmatch(mod); m != nil {
		return m[1]
	}
	return ""
}

func withoutVersion(mod string) string { return astiavVersion.ReplaceAllString(mod, astiav) }

func withoutAstiav(sums string) string {
	var out strings.Builder
	for line := range strings.Lines(sums) {
		if !strings.HasPrefix(line, astiav+" ") {
			out.WriteString(line)
		}
	}
	return out.String()
}
