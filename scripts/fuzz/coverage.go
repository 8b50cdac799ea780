package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// coverage tells of each block of a package whether it was executed.
type coverage map[string]block

type block struct {
	statements int
	covered    bool
}

// A line of a profile: FILE:line.column,line.column statements count.
var profileLine = regexp.MustCompile(`^(\S.*:[\d.]+,[\d.]+) (\d+) (\d+)$`)

// parseProfile reads what go test -coverprofile has written.
func parseProfile(text string) (coverage, error) {
	c := coverage{}
	for n, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if n == 0 && strings.HasPrefix(line, "mode: ") {
			continue
		}
		m := profileLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("coverage profile: line %d is %q", n+1, line)
		}
		statements, err := strconv.Atoi(m[2])
		if err != nil {
			return nil, fmt.Errorf("coverage profile: line %d: %w", n+1, err)
		}
		c[m[1]] = block{statements, m[3] != "0" || c[m[1]].covered}
	}
	return c, nil
}

// statements counts those that are covered, and all.
func (c coverage) statements() (covered, all int) {
	for _, b := range c {
		all += b.statements
		if b.covered {
			covered += b.statements
		}
	}
	return covered, all
}

// adds reports whether c covers what base does not.
func (c coverage) adds(base coverage) bool {
	for at, b := range c {
		if b.covered && !base[at].covered {
			return true
		}
	}
	return false
}

// and is what both cover, or is what either covers.
func (c coverage) and(d coverage) coverage {
	return c.join(d, func(a, b bool) bool { return a && b })
}
func (c coverage) or(d coverage) coverage {
	return c.join(d, func(a, b bool) bool { return a || b })
}

func (c coverage) join(d coverage, covered func(a, b bool) bool) coverage {
	out := coverage{}
	for at, b := range c {
		out[at] = block{b.statements, covered(b.covered, d[at].covered)}
	}
	return out
}

// gained says what was covered before and what is after.
func gained(before, after coverage) string {
	from, all := before.statements()
	to, _ := before.or(after).statements()
	percent := func(n int) float64 { return 100 * float64(n) / float64(max(all, 1)) }
	return fmt.Sprintf("coverage %.1f %% -> %.1f %% (%+d of %d statements)", percent(from), percent(to), to-from, all)
}
