package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// window is what was seen in a stretch of time.
type window struct {
	seconds float64
	// Cores that were used: by the host alone, by this program, and by all others on the machine.
	host, generator, others float64
	busiest                 string    // of the others, and what it used; "": nobody who can be seen
	lateTurns               float64   // share of the loop's turns that were late
	metrics                 metrics   // by how much the host's have grown; nil if it tells of none
	packets                 []float64 // a second that reached each caller
	bytes                   float64   // of a packet of SRTP
	lost                    float64   // share of the packets that did not reach their callers
	overload                float64   // rendezvous_overload_level at the end: what the host gives up
	gaps                    []time.Duration
	after                   usage // of the host, at the end
}

// watch measures a host and a loop for so long.
func watch(ctx context.Context, s server, l *loop, length time.Duration) (w window, err error) {
	before, err := s.metrics(ctx)
	if err != nil {
		return w, err
	}
	l.count(func(c *caller) { c.received.packets, c.received.bytes, c.received.lost, c.gaps = 0, 0, 0, nil })
	seen, err := programs()
	if err != nil {
		return w, err
	}
	turns, late := l.turns.Load(), l.late.Load()
	host, err := usageOf(s.pid())
	if err != nil {
		return w, err
	}
	machine, err := machineTime()
	if err != nil {
		return w, err
	}
	own, begun := ownTime(), time.Now()
	select {
	case <-time.After(length):
	case <-ctx.Done():
		return w, ctx.Err()
	}
	w.seconds = time.Since(begun).Seconds()
	used := ownTime() - own
	if w.after, err = usageOf(s.pid()); err != nil {
		return w, fmt.Errorf("the host has ended: %w", err)
	}
	all, err := machineTime()
	if err != nil {
		return w, err
	}
	w.host, w.generator = (w.after.cpu-host.cpu).Seconds()/w.seconds, used.Seconds()/w.seconds
	w.others = max(0, (all-machine).Seconds()/w.seconds-w.host-w.generator)
	now, err := programs()
	if err != nil {
		return w, err
	}
	if who, time := busiest(seen, now, s.pid(), os.Getpid()); who != "" {
		w.busiest = fmt.Sprintf("%s most: %.2f", who, time.Seconds()/w.seconds)
	}
	w.lateTurns = float64(l.late.Load()-late) / max(1, float64(l.turns.Load()-turns))
	var packets, bytes, lost int64
	l.count(func(c *caller) {
		w.packets = append(w.packets, float64(c.received.packets)/w.seconds)
		packets, bytes, lost = packets+c.received.packets, bytes+c.received.bytes, lost+c.received.lost
		w.gaps = append(w.gaps, c.gaps...)
	})
	w.bytes = float64(bytes) / max(1, float64(packets))
	w.lost = float64(lost) / max(1, float64(packets+lost))
	if before == nil {
		return w, nil
	}
	m, err := s.metrics(ctx)
	w.metrics, w.overload = m.since(before), m["rendezvous_overload_level"]
	return w, err
}

// doubts say why a window's figures are to be doubted; none if they are not.
func (w window) doubts() (why []string) {
	const (
		tooLate  = 0.02 // of the turns
		tooMuch  = 0.1  // cores
		fullTime = 0.8  // cores: nearly all of the loop's one thread
	)
	if w.others > tooMuch {
		why = append(why, strings.TrimSuffix(fmt.Sprintf("others used %.2f cores of the machine, %s", w.others, w.busiest), ", "))
	}
	if cores := float64(runtime.NumCPU()); w.host+w.generator+w.others > 0.95*cores {
		why = append(why, fmt.Sprintf("all %.0f cores were busy", cores))
	}
	if w.overload > 0 {
		why = append(why, fmt.Sprintf("the host had too much to do: rendezvous_overload_level is %.0f", w.overload))
	}
	switch late := w.lateTurns * 100; {
	case w.generator > fullTime || w.lateTurns > tooLate && why == nil:
		why = append(why, fmt.Sprintf("THE GENERATOR WAS THE BOTTLENECK: it used %.2f cores, %.1f %% of its turns were late", w.generator, late))
	case w.lateTurns > tooLate:
		why = append(why, fmt.Sprintf("and %.1f %% of the generator's turns were late", late))
	}
	return why
}

// lateGaps is the share of packets that came more than 5 ms after their time, 20 ms after the one before; NaN of no packets.
func lateGaps(gaps []time.Duration) float64 {
	late := 0
	for _, g := range gaps {
		if g > frameTime+5*time.Millisecond {
			late++
		}
	}
	return float64(late) / float64(len(gaps))
}

// median is NaN of no values.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	switch n := len(s); {
	case n == 0:
		return math.NaN()
	case n%2 == 1:
		return s[n/2]
	default:
		return (s[n/2-1] + s[n/2]) / 2
	}
}

// percentile is the value that p percent do not exceed; NaN of no values.
func percentile(values []float64, p float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if len(s) == 0 {
		return math.NaN()
	}
	return s[min(int(p/100*float64(len(s))), len(s)-1)]
}
