package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A time of day changes when somebody sets the clock; the monotonic clock that a time.Time carries beside it does
// not. It is lost in numbers of seconds since 1970. So only what others read, on the wire or on a disk, may be such
// a number: how long something took, and whether it is due, is asked of times, or of distances from one.

// timesOfDay are the files that make times into numbers, or numbers into times, and what for.
var timesOfDay = map[string]string{
	"bench/load/loop.go":                      "when a packet came, as the kernel says",
	"cmd/rendezvous/certificates.go":          "when a certificate expires, as a metric",
	"dht/listeners.go":                        "when a value was made, as listeners are told",
	"dht/put.go":                              "when a value was made, as peers are told",
	"dht/store.go":                            "when a value was made, as a peer says",
	"internal/lab/browser/watch.go":           "when a page has seen something, as it says",
	"internal/lab/jamilab/defect.go":          "when a daemon wrote a line of its log",
	"internal/webhook/webhook.go":             "what a receiver checks a signature's age by",
	"mixer/leg/reports.go":                    "the time in sender reports",
	"signalling/jami/account/inbox.go":        "the date of a message",
	"signalling/jami/account/merge.go":        "when contacts came and went, compared among devices",
	"signalling/jami/call/dial.go":            "a session's id",
	"signalling/jami/connection/request.go":   "ids that fall, over restarts too",
	"signalling/jami/connection/seen.go":      "requests remembered on disk",
	"signalling/jami/conversation/syncmsg.go": "when contacts came and went, compared among devices",
	"signalling/web/ice.go":                   "when credentials of TURN expire",
	"signalling/web/identity.go":              "when a token expires",
	"signalling/web/joinlinks.go":             "when a link expires",
	"signalling/web/recordings.go":            "when a link expires",
	"swarm/commit/commit.go":                  "a commit's date",
	"swarm/repo/check.go":                     "a commit's date",
	"swarm/repo/integrate.go":                 "a commit's date",
}

// conversions are the lines of a file that make a time into a number or the other way round; a constant is nobody's
// present, and may.
func conversions(fset *token.FileSet, file *ast.File) (lines []int) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		f, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains([]string{"Unix", "UnixMilli", "UnixMicro", "UnixNano"}, f.Sel.Name) {
			return true
		}
		if len(call.Args) == 0 || slices.ContainsFunc(call.Args, func(e ast.Expr) bool { return !constant(e) }) {
			lines = append(lines, fset.Position(call.Pos()).Line)
		}
		return true
	})
	return lines
}

// constant reports whether an expression is made of numbers alone.
func constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.UnaryExpr:
		return constant(e.X)
	case *ast.BinaryExpr:
		return constant(e.X) && constant(e.Y)
	}
	return false
}

func TestDurationsAreNotMeasuredByTheTimeOfDay(t *testing.T) {
	found := map[string]bool{}
	for _, s := range sources(t) {
		path := strings.TrimPrefix(s.path, root+"/")
		for _, line := range conversions(s.fset, s.file) {
			found[path] = true
			if timesOfDay[path] == "" {
				t.Errorf("%s:%d: a number is compared by the time of day, which people set: keep a time.Time, or the distance from one; if others read it, add the file to timesOfDay", path, line)
			}
		}
	}
	for path := range timesOfDay {
		if !found[path] {
			t.Errorf("timesOfDay lists %s, which needs it no more", path)
		}
	}
}

func TestTimesOfDayAreCaught(t *testing.T) {
	for text, want := range map[string]int{
		`a.Store(time.Now().UnixNano())`:             1,
		`age := time.Since(time.Unix(0, a.Load()))`:  1,
		`if now.Unix() > l.until { }`:                1,
		`c.SetReadDeadline(time.Unix(1, 0))`:         0,
		`never := time.Unix(1<<40, 0)`:               0,
		`a.Store(int64(time.Since(s.began)))`:        0,
		`x := time.UnixMilli(v.made); y.UnixMilli()`: 2,
	} {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "x.go", "package x\nfunc f() { "+text+" }", parser.SkipObjectResolution)
		require.NoError(t, err)
		require.Len(t, conversions(fset, file), want, text)
	}
}
