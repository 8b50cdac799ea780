package architecture

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Tests of two kinds: those that meet programs of others, through the laboratory, are in folders called
// e2e, which hold nothing else; all others are quick, and run after each edit (scripts/packages.sh).

const laboratory = "internal/lab"

// tools are the programs of others that any test may start: they judge a file, ask for one, or end at once.
var tools = []string{
	"/usr/bin/python3", // reads a calendar
	"cc", "certtool", "curl", "espeak-ng", "ffmpeg", "ffprobe", "git", "gnutls-cli", "gnutls-serv", "go", "openssl", "sh", "sox", "strace",
}

// imports are the paths that files import, without the house's own name: "mixer/av".
func imports(t *testing.T, sources []source) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, s := range sources {
		for _, i := range s.file.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			all[s.folder] = append(all[s.folder], strings.TrimPrefix(p, "rendezvous/"))
		}
	}
	return all
}

// meets says whether a folder that imports these reaches the laboratory, itself or through what it imports.
func meets(imported []string, of map[string][]string) bool {
	seen := map[string]bool{}
	var reaches func(imported []string) bool
	reaches = func(imported []string) bool {
		return slices.ContainsFunc(imported, func(to string) bool {
			if within(to, laboratory) {
				return true
			}
			if seen[to] {
				return false
			}
			seen[to] = true
			return reaches(of[to])
		})
	}
	return reaches(imported)
}

// misplaced says what is wrong with the place of a folder's tests. Where not only the tests but the package
// itself is one of the laboratory or uses it, as measurements do, its tests are meetings anywhere.
func misplaced(folder string, tests []string, of map[string][]string) string {
	if within(folder, laboratory) || meets(of[folder], of) {
		return ""
	}
	switch e2e := path.Base(folder) == "e2e"; {
	case !e2e && meets(tests, of):
		return "tests that use the laboratory belong into a folder of their own, " + folder + "/e2e"
	case e2e && !meets(tests, of):
		return "tests that do not use the laboratory belong beside the code"
	}
	return ""
}

func TestMeetingsArePackagesOfTheirOwn(t *testing.T) {
	of := imports(t, sources(t))
	for folder, imported := range imports(t, tests(t)) {
		if wrong := misplaced(folder, imported, of); wrong != "" {
			t.Errorf("%s: %s", folder, wrong)
		}
	}
}

func TestMisplacedMeetingsAreCaught(t *testing.T) {
	of := map[string][]string{
		"bench/soak":                   {"fmt", "internal/lab/browser"},
		"signalling/x/xtest":           {"testing", "signalling/x"},
		"signalling/x/guest":           {"signalling/x/xtest", "signalling/x/far"},
		"signalling/x/far":             {"signalling/x/guest", "internal/lab/browser"},
		"signalling/x/far/and/further": {"signalling/x/far"},
	}
	require.NotEmpty(t, misplaced("signalling/x", []string{"testing", "internal/lab/phone"}, of))
	require.NotEmpty(t, misplaced("signalling/x", []string{"signalling/x/guest"}, of), "through others")
	require.NotEmpty(t, misplaced("signalling/x/e2e", []string{"signalling/x/xtest"}, of), "nobody is met")
	require.Empty(t, misplaced("signalling/x/e2e", []string{"internal/lab/phone"}, of))
	require.Empty(t, misplaced("signalling/x", []string{"signalling/x/xtest"}, of))
	require.Empty(t, misplaced("bench/soak", []string{"internal/lab/browser"}, of), "it is one itself")
	require.Empty(t, misplaced("internal/lab/phone", []string{"internal/lab/browser"}, of))
}

// starts collects what is wrong with the programs that a package's test files start.
type starts struct {
	files []*ast.File
	asked map[string]bool // parameters that have been looked at: "run 1"
	wrong []string
}

// foreign says which programs test files of one package start that are no tools, and where it cannot be
// seen which.
func foreign(files ...*ast.File) []string {
	s := starts{files: files, asked: map[string]bool{}}
	s.calls(func(in *ast.FuncDecl, call *ast.CallExpr) {
		switch name(call.Fun) {
		case "exec.Command":
			s.program(in, call.Args[0])
		case "exec.CommandContext":
			s.program(in, call.Args[1])
		case "os.StartProcess":
			s.wrong = append(s.wrong, "os.StartProcess")
		}
		for _, arg := range call.Args {
			if n := name(arg); n == "exec.Command" || n == "exec.CommandContext" {
				s.wrong = append(s.wrong, n+" is passed on")
			}
		}
	})
	for _, f := range files {
		for _, i := range f.Imports {
			if strings.Contains(i.Path.Value, "chromedp") {
				s.wrong = append(s.wrong, "chromedp")
			}
		}
	}
	return s.wrong
}

// calls goes through all calls in functions.
func (s *starts) calls(f func(in *ast.FuncDecl, call *ast.CallExpr)) {
	for _, file := range s.files {
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					f(fn, call)
				}
				return true
			})
		}
	}
}

// program looks at the name of a program that a function starts: a tool's, what it makes itself, the test
// itself, or a parameter for which its callers give one of these.
func (s *starts) program(in *ast.FuncDecl, e ast.Expr) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && slices.Contains(tools, text) {
			return
		}
		s.wrong = append(s.wrong, e.Value)
		return
	case *ast.CallExpr:
		if name(e.Fun) == "filepath.Join" {
			return
		}
	case *ast.IndexExpr:
		if name(e.X) == "os.Args" {
			return
		}
	case *ast.Ident:
		at := 0
		for _, field := range in.Type.Params.List {
			for _, p := range field.Names {
				if p.Name == e.Name {
					s.callers(in, at)
					return
				}
				at++
			}
		}
	}
	s.wrong = append(s.wrong, fmt.Sprintf("%s starts I cannot see what", in.Name.Name))
}

// callers looks at what is given for the parameter of a function.
func (s *starts) callers(of *ast.FuncDecl, at int) {
	key := fmt.Sprint(of.Name.Name, " ", at)
	if s.asked[key] {
		return
	}
	s.asked[key] = true
	s.calls(func(in *ast.FuncDecl, call *ast.CallExpr) {
		if n := name(call.Fun); (n == of.Name.Name || strings.HasSuffix(n, "."+of.Name.Name)) && at < len(call.Args) {
			s.program(in, call.Args[at])
		}
	})
}

// name is that of a function or variable: "run", "exec.Command".
func name(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return name(e.X) + "." + e.Sel.Name
	}
	return ""
}

func TestOnlyMeetingsStartProgramsOfOthers(t *testing.T) {
	of := imports(t, sources(t))
	files := map[string][]*ast.File{}
	found := tests(t)
	for _, s := range found {
		files[s.folder] = append(files[s.folder], s.file)
	}
	imported := imports(t, found)
	for folder, parsed := range files {
		if within(folder, laboratory) || meets(imported[folder], of) {
			continue
		}
		for _, what := range foreign(parsed...) {
			t.Errorf("%s: %s: a test that needs a program of others to talk to belongs into %s/e2e, and the program into %s", folder, what, folder, laboratory)
		}
	}
}

func TestForeignProgramsAreCaught(t *testing.T) {
	for text, want := range map[string][]string{
		`func TestA() { exec.Command("ffprobe", "x"); exec.CommandContext(ctx, "git"); exec.Command(os.Args[0]); exec.Command(filepath.Join(dir, "made")) }`: nil,
		`func TestA() { exec.Command("baresip", "-f") }`:                                                                                                {`"baresip"`},
		`func TestA() { go func() { exec.CommandContext(ctx, "chromium") }() }`:                                                                         {`"chromium"`},
		`func TestA() { run(t, "sox"); run(t, "sipp", "x") }; func run(t *testing.T, name string, args ...string) { exec.Command(name, args...) }`:      {`"sipp"`},
		`func TestA() { x.run("jamid") }; func (x x) run(name string) { start(1, name) }; func start(n int, p string) { exec.Command(p); start(n, p) }`: {`"jamid"`},
		`func TestA() { name := "dhtnode"; exec.Command(name) }`:                                                                                        {"TestA starts I cannot see what"},
		`func TestA() { coturn(t, exec.Command) }`:                                                                                                      {"exec.Command is passed on"},
		`func TestA() { os.StartProcess("/usr/bin/jamid", nil, nil) }`:                                                                                  {"os.StartProcess"},
		`import "github.com/chromedp/chromedp"`:                                                                                                         {"chromedp"},
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x_test.go", "package x\n"+text, parser.SkipObjectResolution)
		require.NoError(t, err)
		require.Equal(t, want, foreign(file), text)
	}
}
