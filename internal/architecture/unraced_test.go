package architecture

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Tests that compute for long in one goroutine are in files that the race detector leaves out (//go:build !race), and are run without
// it (scripts/packages.sh unraced). What it could find something in must not get there. That such a file holds no helper of other
// tests, the compiler says when these are built for the race detector.

// unraced says of a file whether the race detector leaves it out, and, if it does, what of it must not be there.
func unraced(path string, file *ast.File) (out bool, wrong []string) {
	for _, group := range file.Comments {
		for _, c := range group.List {
			if c.Pos() > file.Package || !constraint.IsGoBuild(c.Text) {
				continue
			}
			if expr, err := constraint.Parse(c.Text); err == nil && strings.Contains(expr.String(), "race") {
				if out = true; expr.String() != "!race" {
					wrong = append(wrong, c.Text+": only //go:build !race is known")
				}
			}
		}
	}
	if !out {
		return false, nil
	}
	if !strings.HasSuffix(path, "_test.go") {
		wrong = append(wrong, "no file of tests")
	}
	if len(file.Comments) < 2 || file.Comments[1].Pos() > file.Package {
		wrong = append(wrong, "no word before the package's name of why")
	}
	for _, i := range file.Imports {
		if p, _ := strconv.Unquote(i.Path.Value); within(p, "sync") || within(p, "golang.org/x/sync") {
			wrong = append(wrong, "imports "+p)
		}
	}
	tests := 0
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			wrong = append(wrong, "go statement")
		case *ast.SelectorExpr:
			if name(n) == "time.AfterFunc" || n.Sel.Name == "Parallel" {
				wrong = append(wrong, name(n))
			}
		case *ast.FuncDecl:
			switch f := n.Name.Name; {
			case n.Recv != nil:
			case f == "TestMain", strings.HasPrefix(f, "Benchmark"):
				wrong = append(wrong, f)
			case strings.HasPrefix(f, "Test"), strings.HasPrefix(f, "Fuzz"), strings.HasPrefix(f, "Example"):
				tests++
			}
		}
		return true
	})
	if tests == 0 {
		wrong = append(wrong, "no tests")
	}
	return true, wrong
}

func TestWhatIsNotRacedHasOneGoroutine(t *testing.T) {
	found := false
	for _, s := range append(sources(t), tests(t)...) {
		out, wrong := unraced(s.path, s.file)
		found = found || out
		for _, what := range wrong {
			t.Errorf("%s: %s: the race detector leaves this file out, which only tests in one goroutine may be in, with what they alone need", s.path, what)
		}
	}
	require.True(t, found, "no such file is found")
}

func TestRacesThatWouldBeMissedAreCaught(t *testing.T) {
	const test = "\nfunc TestA(t *testing.T) {}"
	const head = "//go:build !race\n\n// One goroutine.\n\npackage x\n"
	for _, c := range []struct {
		path, text string
		out        bool
		wrong      []string
	}{
		{"x_test.go", head + test, true, nil},
		{"x_test.go", head + `import "testing/synctest"` + test, true, nil},
		{"x_test.go", "package x\nimport \"sync\"\nfunc TestA() { go f() }\n//go:build !race", false, nil},
		{"x_test.go", "//go:build linux\n\npackage x\nfunc TestA() { go f() }", false, nil},
		{"x.go", head + test, true, []string{"no file of tests"}},
		{"x_test.go", "//go:build !race\n\npackage x\n" + test + "\n// Word.", true, []string{"no word before the package's name of why"}},
		{"x_test.go", strings.Replace(head, "!race", "race", 1) + test, true, []string{"//go:build race: only //go:build !race is known"}},
		{"x_test.go", strings.Replace(head, "!race", "linux && !race", 1) + test, true, []string{"//go:build linux && !race: only //go:build !race is known"}},
		{"x_test.go", head + `import ("sync"; "sync/atomic"; "golang.org/x/sync/errgroup")` + test, true, []string{"imports sync", "imports sync/atomic", "imports golang.org/x/sync/errgroup"}},
		{"x_test.go", head + "func TestA() { f(func() { go g() }) }", true, []string{"go statement"}},
		{"x_test.go", head + "func TestA(t *testing.T) { t.Parallel(); time.AfterFunc(1, f) }", true, []string{"t.Parallel", "time.AfterFunc"}},
		{"x_test.go", head + "func TestMain(m *testing.M) {}; func BenchmarkA(b *testing.B) {}; func (x) TestB() {}", true, []string{"TestMain", "BenchmarkA", "no tests"}},
	} {
		file, err := parser.ParseFile(token.NewFileSet(), c.path, c.text, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		out, wrong := unraced(c.path, file)
		require.Equal(t, c.out, out, c.text)
		require.Equal(t, c.wrong, wrong, c.text)
	}
}
