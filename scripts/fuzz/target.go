package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// target is one fuzz test.
type target struct {
	pkg  string // import path
	dir  string
	name string
}

func (t target) String() string { return t.pkg + "." + t.name }

// seeds is the folder in which go test looks for the seeds that are files.
func (t target) seeds() string { return filepath.Join(t.dir, "testdata", "fuzz", t.name) }

// names are the fuzz tests that a source file declares.
func names(source []byte) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Fuzz") || len(f.Type.Params.List) != 1 {
			continue
		}
		if p, ok := f.Type.Params.List[0].Type.(*ast.StarExpr); ok {
			if t, ok := p.X.(*ast.SelectorExpr); ok && t.Sel.Name == "F" {
				out = append(out, f.Name.Name)
			}
		}
	}
	return out, nil
}

// find lists the fuzz tests of packages, by package and name.
func find(ctx context.Context, patterns []string) ([]target, error) {
	list := exec.CommandContext(ctx, "go", append([]string{"list", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles"}, patterns...)...)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var targets []target
	for packages := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath, Dir           string
			TestGoFiles, XTestGoFiles []string
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			return targets, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		var found []string
		for _, file := range append(p.TestGoFiles, p.XTestGoFiles...) {
			source, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				return nil, err
			}
			declared, err := names(source)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			found = append(found, declared...)
		}
		slices.Sort(found)
		for _, name := range found {
			targets = append(targets, target{p.ImportPath, p.Dir, name})
		}
	}
}

func goEnv(ctx context.Context, name string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", name).Output()
	if err != nil {
		return "", fmt.Errorf("go env %s: %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// fuzzed is what go test has said of its fuzzing.
type fuzzed struct {
	executions, found int
	late, failing     bool // see fuzz
}

func (f fuzzed) String() string {
	return fmt.Sprintf("%d executions, %d new inputs", f.executions, f.found)
}

// go test -fuzz says how far it is every three seconds and at the end.
var progress = regexp.MustCompile(`^fuzz: elapsed: .*, execs: (\d+) .*new interesting: (\d+)`)

// take reads a line of go test's.
func (f *fuzzed) take(line string) {
	f.late = f.late || strings.TrimSpace(line) == "context deadline exceeded"
	f.failing = f.failing || strings.Contains(line, "Failing input written to ") || strings.Contains(line, "failure while testing seed corpus entry")
	m := progress.FindStringSubmatch(line)
	if m == nil {
		return
	}
	executions, err1 := strconv.Atoi(m[1])
	found, err2 := strconv.Atoi(m[2])
	if errors.Join(err1, err2) == nil {
		f.executions, f.found = executions, found
	}
}

// minimising bounds how often an input is run to make it smaller. Go's own bound, a minute, can be
// longer than the fuzzing, and is used up where the same input covers now this and now that.
const minimising = "500x"

// fuzz has go test fuzz for so long, and shows its output.
func (t target) fuzz(ctx context.Context, length time.Duration, out io.Writer) (fuzzed, error) {
	var f fuzzed
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", length.String(),
		"-fuzzminimizetime", minimising, t.pkg)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it has workers to end
	cmd.WaitDelay = 10 * time.Second
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return f, err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return f, err
	}
	for lines := bufio.NewReader(pipe); ; {
		line, err := lines.ReadString('\n')
		fmt.Fprint(out, line)
		f.take(line)
		if err != nil {
			break
		}
	}
	err = cmd.Wait()
	// A worker that is not done when the time is up can make the whole a failure, though no input
	// failed: go.dev/issue/75804, mended in Go 1.27.
	if f.late && !f.failing {
		return f, nil
	}
	if err != nil {
		return f, fmt.Errorf("fuzzing: %w", err)
	}
	return f, nil
}
