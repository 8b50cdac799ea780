package architecture

import (
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What only tests need is in files of theirs, or in packages for tests: those whose names end in "test", the laboratory, and forTests.

// forTests are packages for tests that their names do not show.
var forTests = []string{laboratory, "internal/sound", "internal/eventually"}

// measuring are the folders that are no tests, and may use what is for these: no part of the program.
var measuring = []string{"bench", "scripts", "dht/dhtbench"}

// libraries are what only tests need of others.
var libraries = []string{"testing", "github.com/stretchr/testify", "go.uber.org/goleak", "pgregory.net/rapid"}

// forTesting says whether a folder, or a library, is for tests.
func forTesting(p string) bool {
	if strings.HasSuffix(path.Base(p), "test") {
		return true
	}
	for _, f := range append(forTests, libraries...) {
		if within(p, f) {
			return true
		}
	}
	return false
}

func TestProgramNeedsNoTests(t *testing.T) {
	for _, s := range sources(t) {
		free := forTesting(s.folder)
		for _, f := range measuring {
			free = free || within(s.folder, f)
		}
		if free {
			continue
		}
		for _, i := range s.file.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			if p = strings.TrimPrefix(p, "rendezvous/"); forTesting(p) {
				t.Errorf("%s: the program imports %s, which is for tests: what needs it belongs into a file of the tests, or into a package whose name ends in test", s.path, p)
			}
		}
	}
}

func TestWhatIsForTests(t *testing.T) {
	for p, want := range map[string]bool{
		"dht/dhttest": true, "internal/lab/browser": true, "internal/sound": true, "testing": true, "testing/synctest": true,
		"github.com/stretchr/testify/require": true, "dht": false, "internal/speech": false, "mixer/audio": false,
	} {
		require.Equal(t, want, forTesting(p), p)
	}
}
