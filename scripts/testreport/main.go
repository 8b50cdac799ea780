// Command testreport reads `go test -json` and prints one line for each package,
// the whole output of what failed, and the totals. Skipped tests are named: a
// test that does not run proves nothing. It exits 1 if anything failed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of a package that did not build
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string
}

type name struct{ pkg, test string }

type report struct {
	out                     io.Writer
	output                  map[name]*strings.Builder
	tests                   map[string]int // by package
	passed, failed, skipped int
	packages, failedPkgs    int
	skippedNames            []string
}

func main() {
	r := &report{out: os.Stdout, output: map[name]*strings.Builder{}, tests: map[string]int{}}
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if !r.summary() {
		os.Exit(1)
	}
}

func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil {
				r.take(e)
			} else {
				fmt.Fprintf(r.out, "%s", line)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) take(e event) {
	n := name{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		if r.output[n] == nil {
			r.output[n] = &strings.Builder{}
		}
		r.output[n].WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.packageDone(e)
		} else {
			r.testDone(e)
		}
	}
}

func (r *report) testDone(e event) {
	n := name{e.Package, e.Test}
	r.tests[e.Package]++
	switch e.Action {
	case "pass":
		r.passed++
	case "skip":
		r.skipped++
		r.skippedNames = append(r.skippedNames, e.Package+"."+e.Test)
	case "fail":
		r.failed++
		fmt.Fprintf(r.out, "\n--- FAIL %s %s\n", e.Package, e.Test)
		r.print(n)
	}
	delete(r.output, n)
}

func (r *report) packageDone(e event) {
	if e.Action == "skip" { // no test files
		return
	}
	r.packages++
	word := "ok  "
	if e.Action == "fail" {
		word = "FAIL"
		r.failedPkgs++
		// What a crash, a timeout or TestMain printed belongs to no finished test.
		for n := range r.output {
			if n.pkg == e.Package {
				r.print(n)
			}
		}
	}
	fmt.Fprintf(r.out, "%s %-44s %4d tests %7.1f s\n", word, e.Package, r.tests[e.Package], e.Elapsed)
}

func (r *report) print(n name) {
	if b := r.output[n]; b != nil {
		fmt.Fprint(r.out, b.String())
	}
}

// summary prints the totals and reports whether all is well.
func (r *report) summary() bool {
	sort.Strings(r.skippedNames)
	for _, s := range r.skippedNames {
		fmt.Fprintln(r.out, "skipped:", s)
	}
	fmt.Fprintf(r.out, "tests: %d passed, %d failed, %d skipped (subtests included) in %d packages, %d of them failed\n",
		r.passed, r.failed, r.skipped, r.packages, r.failedPkgs)
	return r.failed == 0 && r.failedPkgs == 0 && r.packages > 0
}
