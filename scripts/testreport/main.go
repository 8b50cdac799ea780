// Command testreport reads `go test -json` and prints one line for each package,
// the whole output of what failed, the slowest tests and the totals. Skipped
// tests are named: a test that does not run proves nothing. What failed is told
// once more at the end, in the lines that the tests themselves reported: a
// meeting's output is long, and its end is what a person sees first. It exits 1
// if anything failed.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

// The slowest tests are shown, down to this many and this long.
const (
	slowestShown = 12
	slow         = 10 // seconds
)

// Of each failed test this many reported lines are shown again at the end, of so many bytes.
const (
	reasonsShown = 8
	reasonBytes  = 400
)

// reported is a line that a test has logged or failed with.
var reported = regexp.MustCompile(`^\s*\w+_test\.go:\d+: |^\s*panic: |^\s*WARNING: DATA RACE`)

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
	slowest                 []timed
	reasons                 []string // of failures
}

type timed struct {
	name
	seconds float64
}

func newReport(out io.Writer) *report {
	return &report{out: out, output: map[name]*strings.Builder{}, tests: map[string]int{}}
}

func main() {
	r := newReport(os.Stdout)
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
	if e.Elapsed >= slow && !strings.Contains(e.Test, "/") {
		r.slowest = append(r.slowest, timed{n, e.Elapsed})
	}
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
		r.reason(n)
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
				r.reason(n)
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

// reason notes why something failed.
func (r *report) reason(n name) {
	b := r.output[n]
	if b == nil {
		return
	}
	var lines []string
	for line := range strings.Lines(b.String()) {
		if reported.MatchString(line) {
			line = strings.TrimSpace(line)
			lines = append(lines, "    "+line[:min(len(line), reasonBytes)])
		}
	}
	if len(lines) == 0 {
		return
	}
	// The last ones: what a test logs on its way comes before what ends it.
	lines = lines[max(0, len(lines)-reasonsShown):]
	r.reasons = append(r.reasons, fmt.Sprintf("failed: %s %s\n%s\n", n.pkg, n.test, strings.Join(lines, "\n")))
}

// summary prints the totals and reports whether all is well.
func (r *report) summary() bool {
	slices.SortFunc(r.slowest, func(a, b timed) int { return cmp.Compare(b.seconds, a.seconds) })
	for _, t := range r.slowest[:min(len(r.slowest), slowestShown)] {
		fmt.Fprintf(r.out, "slow: %6.1f s  %s %s\n", t.seconds, t.pkg, t.test)
	}
	for _, s := range r.reasons {
		fmt.Fprint(r.out, s)
	}
	slices.Sort(r.skippedNames)
	for _, s := range r.skippedNames {
		fmt.Fprintln(r.out, "skipped:", s)
	}
	fmt.Fprintf(r.out, "tests: %d passed, %d failed, %d skipped (subtests included) in %d packages, %d of them failed\n",
		r.passed, r.failed, r.skipped, r.packages, r.failedPkgs)
	return r.failed == 0 && r.failedPkgs == 0 && r.packages > 0
}
