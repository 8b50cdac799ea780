package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"rendezvous/internal/lab/jamilab"
)

// patience is what a person has for each step.
const patience = 10 * time.Second

// newcomer is somebody who joins once. The methods are called in their order, listen and look any
// number of times.
type newcomer interface {
	kind() string
	name() string // by which the room shows them
	tone() float64
	face() face

	prepare(ctx context.Context) error // up to where a person asks to be let in; what it starts ends with ctx or close
	enter(ctx context.Context) error   // is let in
	ear
	eye
	leave(ctx context.Context) error
	fault() string         // what the daemon has broken by, "" if it works
	keep(dir string) error // artefacts of a failure
	close()
}

// join is what was measured of one newcomer.
type join struct {
	number   int
	kind     string
	in       time.Duration // since they asked to be let in, as all until left
	sound    time.Duration // until they heard the resident
	picture  time.Duration // until they saw the resident
	heard    time.Duration // until the resident heard them
	seen     time.Duration // until the resident saw them
	left     time.Duration // since they hung up, until the room was as before
	failures []failure
	load     string // of the machine, if it failed: the load average of a minute
}

// failure is a step that did not come about.
type failure struct {
	reason string // that is counted
	detail string // of this one
	own    bool   // the daemon's own: it has broken by itself
}

func (f failure) String() string {
	s := f.reason
	if f.detail != "" {
		s += " (" + f.detail + ")"
	}
	return s
}

// fail records a step that did not come about, with its reason in one short line.
func (j *join) fail(reason string, err error) {
	detail, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	const most = 300
	if len(detail) > most {
		detail = detail[:most] + "…"
	}
	j.failures = append(j.failures, failure{reason: reason, detail: detail, own: errors.Is(err, jamilab.ErrDaemon)})
}

// blame adds what a daemon has broken by: what has failed was its doing.
func (j *join) blame(fault string) {
	if fault == "" {
		return
	}
	for i := range j.failures {
		j.failures[i].own = true
	}
	reason, detail, _ := strings.Cut(fault, ": ")
	j.failures = append([]failure{{reason: reason, detail: detail, own: true}}, j.failures...)
}

// own reports whether a join failed because of the daemon alone.
func (j join) own() bool { return len(j.failures) > 0 && j.failures[0].own }

func (j join) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%-7s", j.kind)
	for _, f := range []struct {
		what string
		took time.Duration
	}{{"in", j.in}, {"sound", j.sound}, {"picture", j.picture}, {"heard", j.heard}, {"seen", j.seen}, {"left", j.left}} {
		if f.took == 0 {
			fmt.Fprintf(&s, "  %s -     ", f.what)
		} else {
			fmt.Fprintf(&s, "  %s %4.1f s", f.what, f.took.Seconds())
		}
	}
	for _, f := range j.failures {
		s.WriteString("\n        FAILED: " + f.String())
		if f.own {
			s.WriteString(", the daemon's own")
		}
	}
	if j.load != "" {
		fmt.Fprintf(&s, "\n        load average %s on %d processors", j.load, runtime.NumCPU())
	}
	return s.String()
}

// join has one newcomer come and go.
func (m *meeting) join(ctx context.Context, number int, next turn) *join {
	n := next(m, number)
	defer n.close()
	j := &join{number: number, kind: n.kind()}
	since, kept := len(m.host.Output()), 0
	keep := func() {
		if len(j.failures) > kept && ctx.Err() == nil {
			m.keep(j, n, since)
			kept = len(j.failures)
		}
	}
	here := m.meet(ctx, j, n)
	keep() // while all is still to be seen
	if here {
		m.leave(ctx, j, n)
	}
	if len(j.failures) > 0 {
		j.blame(n.fault())
		j.load = load()
	}
	keep()
	return j
}

// load is how many processes wait for a processor, on average of a minute; for the reader's judgement.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	minute, _, _ := strings.Cut(string(text), " ")
	return minute
}

// meet lets them in and measures; it reports whether there is somebody who can leave.
func (m *meeting) meet(ctx context.Context, j *join, n newcomer) bool {
	if err := n.prepare(ctx); err != nil {
		j.fail("does not start", err)
		return false
	}
	began := time.Now()
	entering, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := n.enter(entering)
	if took := time.Since(began); err == nil && took > patience {
		err = fmt.Errorf("after %.1f s", took.Seconds())
	}
	if err != nil {
		j.fail("is not let in", err)
		return true
	}
	j.in = time.Since(began)

	measuring, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex // guards j.failures
	measure := func(took *time.Duration, reason, ownTone string, step func() (time.Duration, error)) {
		all.Go(func() {
			var err error
			if *took, err = step(); err == nil {
				return
			}
			if errors.Is(err, errOwnTone) {
				reason = ownTone
			}
			mu.Lock()
			defer mu.Unlock()
			j.fail(reason, err)
		})
	}
	r := m.resident
	measure(&j.sound, "does not hear the resident", "hears itself", func() (time.Duration, error) { return hears(measuring, began, n, r.tone(), n.tone()) })
	measure(&j.picture, "does not see the resident", "", func() (time.Duration, error) { return sees(measuring, began, n, r.name(), r.face()) })
	measure(&j.heard, "is not heard", "makes the resident hear itself", func() (time.Duration, error) { return hears(measuring, began, r, n.tone(), r.tone()) })
	measure(&j.seen, "is not seen", "", func() (time.Duration, error) { return sees(measuring, began, r, n.name(), n.face()) })
	all.Wait()
	return true
}

// leave has them hang up, and waits until the room is as before. Of who was never let in, nothing is
// expected.
func (m *meeting) leave(ctx context.Context, j *join, n newcomer) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	err := n.leave(ctx)
	if err == nil {
		err = m.host.left(ctx, m.resident)
	}
	switch {
	case j.in == 0:
	case err != nil:
		j.fail("does not leave", err)
	default:
		j.left = time.Since(began)
	}
}
