package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// table is all joins so far.
type table []*join

// failed reports whether any failed.
func (t table) failed() bool {
	return slices.ContainsFunc(t, func(j *join) bool { return len(j.failures) > 0 })
}

// String is a line for each kind, and why joins failed, how often.
func (t table) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%-9s %6s %7s %13s %16s %16s %16s %16s\n", "", "joins", "failed", "daemon's own", "sound", "picture", "heard", "seen")
	fmt.Fprintf(&s, "%38s %16s %16s %16s %16s\n", "", "median  worst", "median  worst", "median  worst", "median  worst")
	kinds := map[string]table{}
	for _, j := range t {
		kinds[j.kind] = append(kinds[j.kind], j)
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		s.WriteString(kinds[kind].line(kind))
	}
	s.WriteString(t.line("all"))
	if reasons := t.reasons(); len(reasons) > 0 {
		fmt.Fprintf(&s, "\nwhy (one join may have several reasons):\n%s", reasons)
	}
	return s.String()
}

// line is the figures of one kind.
func (t table) line(kind string) string {
	failed, own := 0, 0
	for _, j := range t {
		if len(j.failures) > 0 {
			failed++
		}
		if j.own() {
			own++
		}
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%-9s %6d %7d %13d", kind, len(t), failed, own)
	for _, of := range []func(*join) time.Duration{
		func(j *join) time.Duration { return j.sound }, func(j *join) time.Duration { return j.picture },
		func(j *join) time.Duration { return j.heard }, func(j *join) time.Duration { return j.seen },
	} {
		fmt.Fprintf(&s, " %16s", t.times(of))
	}
	return s.String() + "\n"
}

// times is the median and the worst of what was measured.
func (t table) times(of func(*join) time.Duration) string {
	var all []time.Duration
	for _, j := range t {
		if d := of(j); d > 0 {
			all = append(all, d)
		}
	}
	if len(all) == 0 {
		return "-"
	}
	slices.Sort(all)
	return fmt.Sprintf("%.1f s  %.1f s", all[len(all)/2].Seconds(), all[len(all)-1].Seconds())
}

// reasons is how often joins failed for which reason, the most frequent first.
func (t table) reasons() string {
	type reason struct{ kind, text string }
	count := map[reason]int{}
	for _, j := range t {
		for _, f := range j.failures {
			r := reason{j.kind, f.reason}
			if f.own {
				r.text += ", the daemon's own"
			}
			count[r]++
		}
	}
	all := slices.SortedFunc(maps.Keys(count), func(a, b reason) int {
		return cmp.Or(count[b]-count[a], strings.Compare(a.kind, b.kind), strings.Compare(a.text, b.text))
	})
	var s strings.Builder
	for _, r := range all {
		fmt.Fprintf(&s, "%5d  %-8s %s\n", count[r], r.kind, r.text)
	}
	return s.String()
}
