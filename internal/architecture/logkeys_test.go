package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"

	"github.com/stretchr/testify/require"
)

// An error is logged as "error", so that whoever looks for errors in a log need not know who wrote a line.

// otherKeys are the lines at which something else that means the same is given to a call.
func otherKeys(fset *token.FileSet, file *ast.File) (lines []int) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		for _, arg := range call.Args {
			if text, ok := arg.(*ast.BasicLit); ok && text.Value == `"err"` {
				lines = append(lines, fset.Position(text.Pos()).Line)
			}
		}
		return true
	})
	return lines
}

func TestErrorsAreLoggedAsError(t *testing.T) {
	for _, s := range sources(t) {
		for _, line := range otherKeys(s.fset, s.file) {
			t.Errorf(`%s:%d: errors are logged as "error", not as "err"`, s.path, line)
		}
	}
}

func TestOtherLogKeysAreCaught(t *testing.T) {
	for text, want := range map[string]int{
		`log.Warn("no answer", "from", a, "err", err)`:   1,
		`log.With(slog.Any("err", err)).Info("")`:        1,
		`log.Warn("no answer", "from", a, "error", err)`: 0,
		`x := "err"`: 0,
	} {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "x.go", "package x\nfunc f() { "+text+" }", parser.SkipObjectResolution)
		require.NoError(t, err)
		require.Len(t, otherKeys(fset, file), want, text)
	}
}
