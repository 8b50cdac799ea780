// Command typecheck says what the compiler would find wrong in packages, tests included, without compiling them: for
// GOARCH and CGO_ENABLED of the environment, for which nothing may have been compiled yet.
//
//	GOARCH=arm64 CC=aarch64-linux-gnu-gcc go run ./scripts/typecheck ./...
package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/tools/go/packages"
)

func main() {
	n, err := check("", os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "typecheck: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf("typecheck: %d packages are in order\n", n)
}

// check reads the packages that patterns name in a folder ("" is the current one), and all that they import, from their
// source. It returns how many were named, or all that is wrong with any.
func check(dir string, patterns []string) (int, error) {
	all, err := packages.Load(&packages.Config{
		Dir:   dir,
		Tests: true,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps |
			packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedTypesSizes,
	}, patterns...)
	if err != nil {
		return 0, fmt.Errorf("loading packages: %w", err)
	}
	var wrong []error
	packages.Visit(all, nil, func(p *packages.Package) {
		for _, e := range p.Errors {
			wrong = append(wrong, e)
		}
	})
	if len(all) == 0 {
		wrong = append(wrong, fmt.Errorf("no packages: %q", patterns))
	}
	return len(all), errors.Join(wrong...)
}
