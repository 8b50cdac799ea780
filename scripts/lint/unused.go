package main

import (
	"fmt"
	"go/token"

	"golang.org/x/tools/go/analysis"
	"honnef.co/go/tools/unused"
)

// unusedCode reports what staticcheck's analyzer of unused code only returns. The go
// command shows a package together with its own tests: what these use is used.
func unusedCode() *analysis.Analyzer {
	find := unused.Analyzer.Analyzer
	return &analysis.Analyzer{
		Name:     "U1000",
		Doc:      find.Doc,
		URL:      find.URL,
		Requires: []*analysis.Analyzer{find},
		Run: func(pass *analysis.Pass) (any, error) {
			result := pass.ResultOf[find].(unused.Result)
			// A field of a generic type has one object for the type and one for
			// each instance, all in the same place; one that is used is enough.
			used := map[token.Position]bool{}
			for _, o := range result.Used {
				used[o.Position] = true
			}
			for _, o := range result.Unused {
				if used[o.Position] {
					continue
				}
				pos, err := place(pass, o.Position)
				if err != nil {
					return nil, err
				}
				pass.Reportf(pos, "%s %s is unused", o.Kind, o.Name)
			}
			return nil, nil
		},
	}
}

// place is the position p of a file of the package, as reports want it.
func place(pass *analysis.Pass, p token.Position) (token.Pos, error) {
	for _, f := range pass.Files {
		file := pass.Fset.File(f.FileStart)
		if file.Name() == p.Filename {
			return file.Pos(p.Offset), nil
		}
	}
	return token.NoPos, fmt.Errorf("unused code at %s, which is not in the package", p)
}
