package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rendezvous/internal/lab/jamilab"
)

// freshDaemon is how many joins one daemon process is for. After a join that failed, the next has a
// fresh one, too.
const freshDaemon = 5

// meeting is the room with somebody in it, whom the newcomers meet.
type meeting struct {
	lab       *jamilab.Lab
	host      *host
	resident  *resident
	callee    *daemon // the daemon, which is called by its account from join to join
	dir       string  // for the callers' files
	artefacts string
}

// turn makes a newcomer of one kind.
type turn func(m *meeting, number int) newcomer

// turnsOf are who joins, by the names of their kinds.
func turnsOf(kinds string) (turns []turn, err error) {
	known := map[string]turn{"browser": (*meeting).browser, "phone": (*meeting).phone, "daemon": (*meeting).daemon}
	for name := range strings.SplitSeq(kinds, ",") {
		next, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("-kinds %q: of %s", kinds, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		turns = append(turns, next)
	}
	return turns, nil
}

// soak runs the joins and prints their table, also that of those before it was interrupted.
func soak(ctx context.Context, lab *jamilab.Lab, o options) (err error) {
	if err := os.RemoveAll(o.artefacts); err != nil {
		return err
	}
	turns, err := turnsOf(o.kinds)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-soak")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m := &meeting{lab: lab, dir: dir, artefacts: o.artefacts}
	if err := m.open(ctx, o.program); err != nil {
		return errors.Join(err, m.close())
	}
	defer func() { err = errors.Join(err, m.close()) }()

	var t table
	for i := range o.joins {
		if err = m.host.alone(ctx, m.resident); err != nil {
			break
		}
		j := m.join(ctx, i+1, turns[i%len(turns)])
		if ctx.Err() != nil {
			break // what it measured is of the interruption
		}
		fmt.Printf("%*d/%d %s\n", len(fmt.Sprint(o.joins)), j.number, o.joins, j)
		t = append(t, j)
	}
	fmt.Printf("\n%s", t)
	if ctx.Err() != nil {
		err = nil // the interruption is all that there is to say
		fmt.Printf("interrupted after %d of %d joins\n", len(t), o.joins)
	}
	if t.failed() {
		err = errors.Join(err, errFailed)
	}
	return err
}

// open starts the host, the resident, and the daemon's account.
func (m *meeting) open(ctx context.Context, program string) (err error) {
	began := time.Now()
	if m.callee, err = newDaemon(ctx, m.lab, m.dir); err != nil {
		return fmt.Errorf("the daemon: %w", err)
	}
	if m.host, err = startHost(ctx, m.dir, program); err != nil {
		return fmt.Errorf("the host: %w", err)
	}
	if m.resident, err = startResident(ctx, m.host.url()); err != nil {
		return fmt.Errorf("the resident: %w", err)
	}
	fmt.Printf("the room is open after %.0f s\n", time.Since(began).Seconds())
	return nil
}

func (m *meeting) close() (err error) {
	if m.resident != nil {
		err = m.resident.Close()
	}
	if m.host != nil {
		if stopped := m.host.Stop(); stopped != nil {
			err = errors.Join(err, fmt.Errorf("the host ended with %w", stopped))
		}
	}
	return err
}

// keep puts aside what tells about a failed join: of the resident, the host since it began, and the newcomer.
func (m *meeting) keep(j *join, n newcomer, since int) {
	dir := filepath.Join(m.artefacts, fmt.Sprintf("%03d-%s", j.number, j.kind))
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		metrics, unknown := m.host.metrics()
		err = errors.Join(
			unknown,
			os.WriteFile(filepath.Join(dir, "metrics.txt"), metrics, 0o644),
			os.WriteFile(filepath.Join(dir, "host.log"), []byte(m.host.Output()[since:]), 0o644),
			m.resident.keep(dir, "resident"),
			n.keep(dir))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench/soak: what is kept of join %d is not complete: %v\n", j.number, err)
	}
}
