package architecture

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A person is they, whoever it may be; a program, a device and a peer are it.

var gendered = regexp.MustCompile(`(?i)\b(he|him|his|himself)\b`)

func TestPersonsOfComments(t *testing.T) {
	for _, s := range append(sources(t), tests(t)...) {
		for _, group := range s.file.Comments {
			for _, c := range group.List {
				for _, word := range gendered.FindAllString(c.Text, -1) {
					t.Errorf("%s: %q: a person is they", s.fset.Position(c.Pos()), word)
				}
			}
		}
	}
}

// Documents, and what else people read that is no Go.
func TestPersonsOfDocuments(t *testing.T) {
	for name := range openHouse(t).files {
		if !slices.Contains([]string{".md", ".yaml", ".js", ".sh"}, path.Ext(name)) || strings.Contains(name, "testdata/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		for i, line := range strings.Split(string(text), "\n") {
			for _, word := range gendered.FindAllString(line, -1) {
				t.Errorf("%s:%d: %q: a person is they", name, i+1, word)
			}
		}
	}
}

func TestGenderedPersonsAreCaught(t *testing.T) {
	for _, text := range []string{"He leaves.", "what is told to him", "// his, too", "by himself"} {
		require.Regexp(t, gendered, text)
	}
	require.NotRegexp(t, gendered, "they hear themselves; this, the history, a hero")
}
