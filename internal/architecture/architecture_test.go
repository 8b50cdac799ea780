package architecture

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/semver"
)

const root = "../.."

// mayImport says which folders of the house a folder may import besides itself. The
// longest prefix decides. A folder that is not here may import nothing.
var mayImport = map[string][]string{
	"moderation": {},
	"dht":        {"internal/atomicfile", "internal/ratelimit", "internal/sourcenet"},
	"swarm":      {"dht", "internal/atomicfile"},
	"mixer":      {},
	"conference": {"mixer", "moderation", "internal/atomicfile", "internal/sourcenet"},

	// What can be set about a room: pure, for whoever reads or uses it.
	"conference/settings": {"moderation"},

	// Doors know the rooms and a caller's media, never each other.
	"signalling/web":  {"conference", "moderation", "mixer/leg", "mixer/video", "signalling/stunguard", "internal"},
	"signalling/sip":  {"conference", "moderation", "mixer/leg", "mixer/video", "signalling/keypad", "signalling/sdp", "signalling/sdes", "signalling/srtp", "internal"},
	"signalling/jami": {"conference", "moderation", "mixer/leg", "mixer/video", "signalling/keypad", "signalling/stunguard", "signalling/sdp", "signalling/sdes", "signalling/srtp", "internal", "dht", "swarm"},

	// What keys mean, whichever door they come through.
	"signalling/keypad": {"conference", "moderation", "mixer/leg", "internal/prompts"},

	// What doors that speak SIP have in common: session descriptions and what is agreed by them, the keys in them,
	// and what is encrypted with those.
	"signalling/sdp":  {"mixer/leg", "signalling/sdes"},
	"signalling/sdes": {},
	"signalling/srtp": {"signalling/sdes"},

	// What stands between the network and pion's STUN.
	"signalling/stunguard": {},

	"recordings":                {"mixer", "internal/atomicfile"},
	"recordings/recordingstest": {"mixer", "internal/sound"},

	"internal":              {"internal"},
	"internal/architecture": {},
	"internal/doctor":       {"internal", "dht", "mixer/av"},
	"internal/atomicfile":   {},
	"internal/connlimit":    {"internal/sourcenet"},
	"internal/config":       {"conference/settings", "moderation"},
	"internal/eventually":   {},
	"internal/store":        {"conference", "moderation", "internal"},
	"internal/prompts":      {"mixer"},
	"internal/speech":       {"mixer/av"},
	"internal/netlink":      {},
	"internal/experience":   {},
	"internal/ratelimit":    {},
	"internal/sound":        {},
	"internal/sourcenet":    {},
	"internal/destination":  {},
	"internal/hostheader":   {},
	"internal/lab":          {"internal"}, // the laboratory drives programs from outside

	"dht/dhtbench": {"dht", "internal/lab/opendht"}, // measured beside OpenDHT's own programs

	"scripts": {},
	"bench":   {"conference", "moderation", "mixer", "recordings", "signalling", "dht", "swarm", "internal"},
	"cmd":     {"conference", "moderation", "mixer", "recordings", "signalling", "dht", "swarm", "internal"},
}

// onlyIn says which folders may import a library: what a change of it can touch.
var onlyIn = map[string][]string{
	"github.com/asticode/go-astiav":                           {"mixer/av"},
	"github.com/hraban/opus":                                  {"mixer/audio/codec", "internal/prompts", "internal/lab", "bench"},
	"gopkg.in/hraban/opus.v2":                                 {"mixer/audio/codec", "internal/prompts", "internal/lab", "bench"},
	"github.com/pion/webrtc/v3":                               {"signalling/web", "internal/lab", "bench"},
	"github.com/pion/dtls/v2":                                 {"bench"},
	"github.com/pion/sdp/v3":                                  {"signalling/web"},
	"github.com/pion/srtp/v2":                                 {"signalling/srtp", "bench"},
	"github.com/emiago/sipgo":                                 {"signalling/sip", "signalling/jami", "internal/lab", "bench"},
	"github.com/go-git/go-git/v5":                             {"swarm"},
	"github.com/spf13/viper":                                  {"internal/config"},
	"github.com/spf13/cobra":                                  {"cmd"},
	"github.com/chromedp/chromedp":                            {"internal/lab"},
	"github.com/prometheus/client_golang/prometheus/promhttp": {"internal/admin"},
	"go.opentelemetry.io/otel":                                {"internal/tracing"},
	"golang.org/x/tools":                                      {"scripts"},
	"honnef.co/go/tools":                                      {"scripts/lint"},
	"codeberg.org/polyfloyd/go-errorlint":                     {"scripts/lint"},
}

// source is one parsed file.
type source struct {
	folder string // "mixer/av"
	path   string
	file   *ast.File
	fset   *token.FileSet // where in it things are
}

// sources are the files that are no tests; tests are those that are.
func sources(t *testing.T) []source { return parse(t, false) }
func tests(t *testing.T) []source   { return parse(t, true) }

func parse(t *testing.T, tests bool) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "data" || name == "artifacts") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") != tests {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		out = append(out, source{filepath.ToSlash(folder), path, file, fset})
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, out)
	return out
}

func within(folder, prefix string) bool {
	return folder == prefix || strings.HasPrefix(folder, prefix+"/")
}

// rule finds the longest prefix of folder that mayImport knows.
func rule(folder string) (prefix string, ok bool) {
	for p := range mayImport {
		if within(folder, p) && len(p) > len(prefix) {
			prefix, ok = p, true
		}
	}
	return prefix, ok
}

func TestWhoImportsWhom(t *testing.T) {
	for _, s := range sources(t) {
		prefix, ok := rule(s.folder)
		if !ok {
			t.Errorf("%s: the folder has no place in the house; give it one in mayImport and docs/architecture.md", s.path)
			continue
		}
		for _, i := range s.file.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			if to, ours := strings.CutPrefix(path, "rendezvous/"); ours && !allowed(prefix, to) {
				t.Errorf("%s: %s may not import %s", s.path, prefix, path)
			}
			for library, folders := range onlyIn {
				if path != library && !strings.HasPrefix(path, library+"/") {
					continue
				}
				found := false
				for _, f := range folders {
					found = found || within(s.folder, f)
				}
				if !found {
					t.Errorf("%s: only %s may import %s", s.path, strings.Join(folders, ", "), path)
				}
			}
		}
	}
}

func allowed(from, to string) bool {
	if within(to, from) {
		return true
	}
	for _, a := range mayImport[from] {
		if within(to, a) {
			return true
		}
	}
	return false
}

func TestRulesCatchViolations(t *testing.T) {
	require.False(t, allowed("mixer", "conference"))
	require.False(t, allowed("conference/settings", "mixer"))
	require.False(t, allowed("internal/config", "conference"))
	require.False(t, allowed("signalling/sip", "signalling/web"))
	require.False(t, allowed("signalling/keypad", "signalling/sip"))
	require.False(t, allowed("signalling/sdp", "signalling/srtp"))
	require.False(t, allowed("signalling/srtp", "mixer/leg"))
	require.False(t, allowed("signalling/web", "mixer/av"))
	require.False(t, allowed("moderation", "conference"))
	require.True(t, allowed("mixer", "mixer/av"))
	require.True(t, allowed("signalling/jami", "dht/value"))
	prefix, ok := rule("signalling/web/control")
	require.True(t, ok)
	require.Equal(t, "signalling/web", prefix)
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		documented[s.folder] = documented[s.folder] || s.file.Doc != nil
		if s.file.Doc == nil {
			continue
		}
		text := s.file.Doc.Text()
		want := "Package " + s.file.Name.Name + " "
		if s.file.Name.Name == "main" { // go.dev/doc/comment: "Command x", or "X"
			name := filepath.Base(s.folder)
			if want = "Command "; strings.HasPrefix(text, strings.ToUpper(name[:1])+name[1:]+" ") {
				continue
			}
		}
		if !strings.HasPrefix(text, want) {
			t.Errorf("%s: the doc comment does not begin with %q", s.path, want)
		}
	}
	for folder, ok := range documented {
		if !ok {
			t.Errorf("%s: no package doc comment", folder)
		}
	}
}

// Hidden inputs and side doors: start-up order, the process's own logger, ends of the
// program from within a library.
func TestNoHiddenState(t *testing.T) {
	for _, s := range sources(t) {
		program := s.file.Name.Name == "main" || within(s.folder, "cmd")
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch d := n.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					t.Errorf("%s: init()", s.path)
				}
			case *ast.SelectorExpr:
				x, ok := d.X.(*ast.Ident)
				if !ok || program {
					return true
				}
				switch x.Name + "." + d.Sel.Name {
				case "os.Exit", "log.Fatal", "log.Fatalf", "log.Print", "log.Printf", "log.Println",
					"fmt.Print", "fmt.Printf", "fmt.Println", "slog.Default", "slog.Info", "slog.Warn", "slog.Error", "slog.Debug":
					t.Errorf("%s: %s.%s", s.path, x.Name, d.Sel.Name)
				}
			}
			return true
		})
	}
}

// Each direct dependency has its line in docs/dependencies.md, and no line is left over.
func TestEveryDependencyIsJustified(t *testing.T) {
	// What is imported decides, not go.mod's "// indirect" marks.
	module := regexp.MustCompile(`(?m)^\s*(?:require )?([a-z][^\s]*\.[^\s]+/[^\s]+|[a-z]+\.[a-z.]+/[^\s]+) v`)
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	var modules []string
	for _, m := range module.FindAllStringSubmatch(string(mod), -1) {
		modules = append(modules, m[1])
	}
	require.NotEmpty(t, modules)

	direct := map[string]bool{}
	note := func(path string) {
		longest := ""
		for _, m := range modules {
			if within(path, m) && len(m) > len(longest) {
				longest = m
			}
		}
		if longest != "" {
			direct[longest] = true
		}
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range file.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			note(p)
		}
		return nil
	})
	require.NoError(t, err)
	for line := range strings.SplitSeq(string(mod), "\n") {
		if tool, ok := strings.CutPrefix(line, "tool "); ok {
			note(strings.TrimSpace(tool))
		}
	}

	doc, err := os.ReadFile(filepath.Join(root, "docs/dependencies.md"))
	require.NoError(t, err)
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| [^|]+ \\|$").FindAllStringSubmatch(string(doc), -1) {
		listed[m[1]] = true
	}
	for m := range direct {
		if !listed[m] {
			t.Errorf("docs/dependencies.md has no line for %s", m)
		}
	}
	for m := range listed {
		if strings.Contains(m, "/") && !direct[m] {
			t.Errorf("docs/dependencies.md lists %s, which nothing imports", m)
		}
	}
}

// No module has a version that an advisory names as bad, unless something is done about it.
func TestNoKnownBadVersions(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	have := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(?:require)?\s+(\S+) (v\S+)`).FindAllStringSubmatch(string(mod), -1) {
		have[m[1]] = m[2]
	}
	list, err := os.ReadFile(filepath.Join(root, "docs/advisories.txt"))
	require.NoError(t, err)
	for _, bad := range badVersions(t, string(list), have) {
		t.Error(bad)
	}
	// The check sees what it must.
	require.NotEmpty(t, badVersions(t, "example.org/m v1.2.0 X -", map[string]string{"example.org/m": "v1.1.9"}))
	require.NotEmpty(t, badVersions(t, "example.org/m none X -", map[string]string{"example.org/m": "v1.1.9"}))
	require.Empty(t, badVersions(t, "example.org/m v1.2.0 X -", map[string]string{"example.org/m": "v1.10.0"}))
	require.Empty(t, badVersions(t, "example.org/m none X mended in front", map[string]string{"example.org/m": "v1.1.9"}))
}

// badVersions reads docs/advisories.txt and returns what of it concerns the modules that we have.
func badVersions(t *testing.T, list string, have map[string]string) (bad []string) {
	t.Helper()
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		require.GreaterOrEqual(t, len(f), 4, line)
		version, mended := have[f[0]], f[3] != "-"
		if version == "" || mended || f[1] != "none" && semver.Compare(version, f[1]) >= 0 {
			continue
		}
		bad = append(bad, fmt.Sprintf("%s %s: %s is mended in %s", f[0], version, f[2], f[1]))
	}
	return bad
}
