package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// round is one fault and what was found after it.
type round struct {
	number   int
	disk     string
	fault    fault
	acked    int           // acknowledgements that were looked for
	start    time.Duration // until the host was ready again; 0: it went on
	lost     time.Duration // of the recording, at its end
	member   time.Duration // until the other member had all that was said
	failures []string
	dead     bool // the host does not start any more
}

func (r *round) fail(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// String is a line, and one for each failure.
func (r *round) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%3d %-5s %-16s %6d acknowledged", r.number, r.disk, r.fault, r.acked)
	if r.start > 0 {
		fmt.Fprintf(&s, ", ready after %.1f s", r.start.Seconds())
	}
	if r.lost > 0 {
		fmt.Fprintf(&s, ", the recording lacks its last %.1f s", r.lost.Seconds())
	}
	if r.member > 0 {
		fmt.Fprintf(&s, ", the member has all after %.1f s", r.member.Seconds())
	}
	for i, f := range r.failures {
		if i == 20 {
			fmt.Fprintf(&s, "\n    … and %d more", len(r.failures)-i)
			break
		}
		s.WriteString("\n    FAILED: " + f)
	}
	return s.String()
}

// table is all rounds so far.
type table struct{ rounds []*round }

func (t *table) failed() bool {
	return slices.ContainsFunc(t.rounds, func(r *round) bool { return len(r.failures) > 0 })
}

// String is a line for each disk and fault.
func (t *table) String() string {
	type key struct {
		disk  string
		fault fault
	}
	type sum struct {
		rounds, failures, dead int
		acked                  int
		start, lost, member    time.Duration
	}
	sums := map[key]*sum{}
	for _, r := range t.rounds {
		k := key{r.disk, r.fault}
		if sums[k] == nil {
			sums[k] = &sum{}
		}
		s := sums[k]
		s.rounds++
		s.failures += len(r.failures)
		s.acked += r.acked
		s.start, s.lost, s.member = max(s.start, r.start), max(s.lost, r.lost), max(s.member, r.member)
		if r.dead {
			s.dead++
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%-5s %-16s %6s %12s %9s %14s %13s %15s %13s\n", "", "", "faults", "acknowledged", "failures", "starts refused", "slowest start", "recording lacks", "slowest member")
	for _, k := range slices.SortedFunc(maps.Keys(sums), func(a, b key) int { return cmp.Or(cmp.Compare(a.disk, b.disk), cmp.Compare(a.fault, b.fault)) }) {
		s := sums[k]
		fmt.Fprintf(&out, "%-5s %-16s %6d %12d %9d %14d %11.1f s %13.1f s %12.1f s\n", k.disk, k.fault, s.rounds, s.acked, s.failures, s.dead, s.start.Seconds(), s.lost.Seconds(), s.member.Seconds())
	}
	return out.String()
}
