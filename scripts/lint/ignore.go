package main

import (
	"fmt"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/tools/go/analysis"
	"honnef.co/go/tools/analysis/facts/directives"
	"honnef.co/go/tools/analysis/lint"
)

// excuse is one comment `//lint:ignore CHECK[,CHECK...] why`.
type excuse struct {
	checks  []string // none if the comment is malformed
	comment token.Pos
	file    string
	line    int         // of what the comment belongs to
	used    atomic.Bool // checks run side by side
}

// excusing returns the analyzers, silent about what is excused, and one more, "ignore",
// that reports the comments which excuse nothing.
func excusing(analyzers []*analysis.Analyzer) []*analysis.Analyzer {
	excuses := &analysis.Analyzer{
		Name:       "excuses",
		Doc:        "reads comments //lint:ignore",
		Requires:   []*analysis.Analyzer{directives.Analyzer},
		ResultType: reflect.TypeFor[[]*excuse](),
		Run:        readExcuses,
	}
	var out []*analysis.Analyzer
	for _, a := range analyzers {
		out = append(out, excused(a, excuses))
	}
	return append(out, &analysis.Analyzer{
		Name:     "ignore",
		Doc:      "finds comments //lint:ignore that excuse nothing",
		Requires: append(slices.Clone(out), excuses),
		Run: func(pass *analysis.Pass) (any, error) {
			for _, e := range pass.ResultOf[excuses].([]*excuse) {
				if !e.used.Load() {
					pass.Reportf(e.comment, "excuses nothing; want //lint:ignore CHECK why, where CHECK has something to say (ignore)")
				}
			}
			return nil, nil
		},
	})
}

// excused returns a, silent about what is excused and about what cgo generates, and
// with its name in its messages: it is what a comment must name.
func excused(a, excuses *analysis.Analyzer) *analysis.Analyzer {
	silent := *a
	silent.Requires = append(slices.Clone(a.Requires), excuses)
	silent.Run = func(pass *analysis.Pass) (any, error) {
		filtered := *pass
		filtered.Report = func(d analysis.Diagnostic) {
			at := pass.Fset.Position(d.Pos)
			if filepath.Base(at.Filename) == "_cgo_gotypes.go" {
				return
			}
			for _, e := range pass.ResultOf[excuses].([]*excuse) {
				if e.file == at.Filename && e.line == at.Line && slices.Contains(e.checks, a.Name) {
					e.used.Store(true)
					return
				}
			}
			d.Message = fmt.Sprintf("%s (%s)", d.Message, a.Name)
			pass.Report(d)
		}
		return a.Run(&filtered)
	}
	return &silent
}

func readExcuses(pass *analysis.Pass) (any, error) {
	var out []*excuse
	for _, d := range pass.ResultOf[directives.Analyzer].([]lint.Directive) {
		at := pass.Fset.Position(d.Node.Pos())
		e := &excuse{comment: d.Directive.Pos(), file: at.Filename, line: at.Line}
		if d.Command == "ignore" && len(d.Arguments) >= 2 {
			e.checks = strings.Split(d.Arguments[0], ",")
		}
		out = append(out, e)
	}
	return out, nil
}
