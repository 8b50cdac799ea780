package architecture

import (
	"go/ast"
	"path/filepath"
	"strconv"
	"testing"
)

// replacing are functions of package os that make, replace or rename files without making that last: after a power cut
// there may be nothing, or half of it. Package atomicfile has what to take instead. O_TRUNC has OpenFile do as Create does.
var replacing = map[string]bool{"Rename": true, "WriteFile": true, "Create": true, "CreateTemp": true, "O_TRUNC": true}

// mayReplace are the folders that may use them all the same: those where nothing has to last.
var mayReplace = map[string]string{
	"internal/atomicfile":                  "is what others use",
	"internal/certificate/certificatetest": "tests",
	"internal/lab":                         "tests",
	"internal/hosttest":                    "tests",
	"bench":                                "measurements",
	"scripts":                              "tools",
	"dht/dhtbench":                         "measurements",
	"internal/doctor":                      "measurements",
}

// single are uses in folders that else may not, by file and function.
var single = map[string]string{
	"swarm/repo/packs.go CreateTemp": "a pack is written piece by piece, read back, synced, and given its name by atomicfile",
}

func TestOneWayToReplaceFiles(t *testing.T) {
	for _, s := range sources(t) {
		if exempt(s.folder) {
			continue
		}
		name := ""
		for _, i := range s.file.Imports {
			if path, _ := strconv.Unquote(i.Path.Value); path == "os" {
				if name = "os"; i.Name != nil {
					name = i.Name.Name
				}
			}
		}
		if name == "" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := call.X.(*ast.Ident); ok && x.Name == name && replacing[call.Sel.Name] &&
				single[s.folder+"/"+filepath.Base(s.path)+" "+call.Sel.Name] == "" {
				t.Errorf("%s: os.%s does not last over a power cut; take package atomicfile", s.path, call.Sel.Name)
			}
			return true
		})
	}
}

func exempt(folder string) bool {
	for f := range mayReplace {
		if within(folder, f) {
			return true
		}
	}
	return false
}
