package architecture

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// house is what of the repository texts can name. Paths are from its root, with slashes.
type house struct {
	files, folders map[string]bool
	titles         map[string][]string // of each document's headings
}

func openHouse(t *testing.T) house {
	t.Helper()
	h := house{map[string]bool{}, map[string]bool{}, map[string][]string{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case slices.Contains([]string{".git", "bin", "data", "artifacts"}, name), d.Name() == "node_modules": // what is made there is nobody's to name
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.IsDir():
			h.folders[name] = true
		default:
			h.files[name] = true
		}
		return nil
	})
	require.NoError(t, err)
	for name := range h.files {
		if strings.HasSuffix(name, ".md") {
			text, err := os.ReadFile(filepath.Join(root, name))
			require.NoError(t, err)
			h.titles[name] = titles(string(text))
		}
	}
	require.NotEmpty(t, h.titles)
	return h
}

// titles are the headings of a document, without what makes them headings.
func titles(text string) (out []string) {
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		if rest := strings.TrimLeft(line, "#"); !fenced && rest != line && strings.HasPrefix(rest, " ") {
			out = append(out, strings.TrimSpace(rest))
		}
	}
	return out
}

var punctuation = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchor is a heading's name in links, as code hosts make it.
func anchor(title string) string {
	return strings.ReplaceAll(punctuation.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
}

var (
	// word is a run of what can stand in a path, and what follows a document's name.
	word    = regexp.MustCompile(`[\w./#*-]+`)
	section = regexp.MustCompile(`([\w./-]+\.md),? section ("[^"]*"|[\d.]*\d)`)
	// written is what people write files of, by its ending. Others, such as JSON, are also made by the program as it runs.
	written = []string{".md", ".go", ".sh", ".py", ".yaml", ".txt", ".c", ".html", ".css", ".js"}
)

// dead returns what a text names that is not there. folder is where its names begin: files beside it, below it and in
// the folders around it need no path.
func (h house) dead(folder, text string) (out []string) {
	text = strings.Join(strings.Fields(text), " ")
	for _, name := range word.FindAllString(text, -1) {
		name = strings.TrimRight(name, ".-/")
		file, heading, _ := strings.Cut(name, "#")
		first, _, deep := strings.Cut(file, "/")
		switch {
		case strings.HasPrefix(file, "/") || strings.Contains(file, "*"): // of a URL, of the machine; many files
		case slices.Contains(written, path.Ext(file)) && path.Ext(file) != path.Base(file):
			found := h.find(folder, file)
			if found == "" || heading != "" && !slices.ContainsFunc(h.titles[found], func(t string) bool { return anchor(t) == heading }) {
				out = append(out, name)
			}
		case deep && h.folders[first]:
			// A name of Go's may follow: mixer/leg.Session.
			if of, _, _ := strings.Cut(path.Base(file), "."); !h.has(file) && !h.has(path.Join(path.Dir(file), of)) {
				out = append(out, name)
			}
		}
	}
	for _, m := range section.FindAllStringSubmatch(text, -1) {
		is := func(title string) bool {
			number, _, _ := strings.Cut(title, " ")
			return title == strings.Trim(m[2], `"`) || strings.TrimSuffix(number, ".") == m[2]
		}
		if !slices.ContainsFunc(h.titles[h.find(folder, m[1])], is) {
			out = append(out, m[0])
		}
	}
	return out
}

func (h house) has(name string) bool { return h.files[name] || h.folders[name] }

// find returns the path of a file that a text in a folder names, "" if there is none.
func (h house) find(folder, name string) string {
	if h.files[name] {
		return name
	}
	if beside := path.Join(folder, name); h.files[beside] {
		return beside
	}
	if strings.Contains(name, "/") {
		return ""
	}
	for around := folder; around != "."; {
		around = path.Dir(around)
		if up := path.Join(around, name); h.files[up] {
			return up
		}
	}
	for file := range h.files {
		if path.Base(file) == name && (folder == "." || strings.HasPrefix(file, folder+"/")) {
			return file
		}
	}
	return ""
}

func TestDeadReferencesAreCaught(t *testing.T) {
	h := openHouse(t)
	for _, text := range []string{
		"see docs/jami/cells.md", "see docs/jami/calls.md#no-such-heading", "docs/jami/calls.md, section 99.1",
		`docs/jami/calls.md, section "Bells"`, "spec/calls.md §3", "as nowhere.go has it", "../nowhere/references_test.go",
		"scripts/nowhere.sh", "mixer/nowhere", "(dht/nowhere.Value)", "docs/jami/calls.md,\n section \"No\n such\"",
	} {
		require.Len(t, h.dead("internal/architecture", text), 1, text)
	}
	for _, text := range []string{
		"docs/jami/calls.md#sip-on-a-channel", "docs/jami/calls.md, section \"SIP on\n\ta channel\".", "references_test.go", "../architecture/doc.go", "config.yaml",
		"dht/value", "dht/value.Key", "https://example.org/docs/nowhere.md", "/etc/nowhere.sh", "testdata/*.md", "application/nowhere", ".go files",
	} {
		require.Empty(t, h.dead("internal/architecture", text), text)
	}
	require.Equal(t, "todays-daemons-in-a-room", anchor("Today's daemons in a room"))
}

// What comments name is there: documents with their headings, other files, folders.
func TestReferencesOfComments(t *testing.T) {
	h := openHouse(t)
	for _, s := range append(sources(t), tests(t)...) {
		for _, group := range s.file.Comments {
			var text strings.Builder
			for _, c := range group.List { // not group.Text(), which leaves out what linters are told
				text.WriteString(strings.Trim(c.Text, "/*") + "\n")
			}
			for _, name := range h.dead(s.folder, text.String()) {
				t.Errorf("%s: there is no %s", s.fset.Position(group.Pos()), name)
			}
		}
	}
}

// Links between documents lead somewhere, and what they name in plain text is there.
func TestLinksOfDocuments(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	h := openHouse(t)
	for doc := range h.titles {
		text, err := os.ReadFile(filepath.Join(root, doc))
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			target, heading, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			to := doc
			if target != "" {
				to = path.Join(path.Dir(doc), target)
			}
			if !h.has(to) || heading != "" && !slices.ContainsFunc(h.titles[to], func(t string) bool { return anchor(t) == heading }) {
				t.Errorf("%s: the link to %s leads nowhere", doc, m[1])
			}
		}
		for _, name := range h.dead(".", link.ReplaceAllString(string(text), "")) {
			// What is made there, and what a command is run beside.
			if !strings.HasPrefix(name, "recordings/") && !strings.HasPrefix(name, "bench/results/") && !strings.HasPrefix(name, "./") {
				t.Errorf("%s: there is no %s", doc, name)
			}
		}
	}
	for _, file := range []string{"config.yaml", "Makefile"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		for _, name := range h.dead(".", string(text)) {
			if path.Base(name) != "node_modules" { // made by npm
				t.Errorf("%s: there is no %s", file, name)
			}
		}
	}
}
