package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/unitchecker"
)

// isDependency tells whether the program was called for a package that nobody wants
// checked, but whose facts (what never returns, what is deprecated) the check of
// another needs.
func isDependency(args []string) (bool, error) {
	file := args[len(args)-1]
	if !strings.HasSuffix(file, ".cfg") {
		return false, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return false, fmt.Errorf("reading what is to be checked: %w", err)
	}
	var unit unitchecker.Config
	if err := json.Unmarshal(text, &unit); err != nil {
		return false, fmt.Errorf("reading what is to be checked, %s: %w", file, err)
	}
	return unit.VetxOnly, nil
}

// factsOnly returns a without its checks, only with what makes the facts that it needs.
// unitchecker itself would run each check that is built on facts on every dependency,
// the standard library included, and throw away what it finds.
func factsOnly(a *analysis.Analyzer) *analysis.Analyzer {
	if len(a.FactTypes) > 0 {
		return a
	}
	facts := *a
	facts.Requires = makers(a)
	facts.ResultType = nil
	facts.Run = func(*analysis.Pass) (any, error) { return nil, nil }
	return &facts
}

// makers lists the analyzers with facts that a needs, directly or not.
func makers(a *analysis.Analyzer) []*analysis.Analyzer {
	var out []*analysis.Analyzer
	for _, need := range a.Requires {
		if len(need.FactTypes) > 0 {
			out = append(out, need)
		} else {
			out = append(out, makers(need)...)
		}
	}
	return out
}
