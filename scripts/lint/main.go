// Command lint is the linter of this tree, in one program: `go vet -vettool=bin/lint
// ./...`. The go command hands it one package after the other and keeps what it said
// of each in the build cache, so after an edit only what depends on it is looked at
// again. Which checks there are is in suite.go.
//
// A comment `//lint:ignore CHECK why`, above a line or at its end, excuses what CHECK
// has to say of that line.
package main

import (
	"log"
	"os"

	"golang.org/x/tools/go/analysis/unitchecker"
)

func main() {
	analyzers := excusing(suite())
	dependency, err := isDependency(os.Args)
	if err != nil {
		log.Fatalf("lint: %v", err)
	}
	if dependency {
		for i, a := range analyzers {
			analyzers[i] = factsOnly(a)
		}
	}
	unitchecker.Main(analyzers...)
}
