// Command networks has things happen to the network of meetings of real browsers, and prints what a person saw and heard
// beside what must be. ../README.md says how it is measured; the table of all scenarios is internal/lab/scenario.
//
//	go run ./bench/networks [-program bin/rendezvous] [-runs 1] [-results FILE] [-keep DIR] [-host HOST] [-list] [SCENARIO …]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"rendezvous/bench/benchfmt"
	"rendezvous/internal/lab/scenario"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "networks:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	program := flag.String("program", "bin/rendezvous", "the host (make build)")
	config := flag.String("config", "config.yaml", "its configuration")
	runs := flag.Int("runs", 1, "of each scenario")
	seed := flag.Uint64("seed", 1, "of the first run's network; the next one's is the next")
	results := flag.String("results", "", "append each run's figures to this file, in the Go benchmark format")
	keep := flag.String("keep", "", "keep what the host and the page said, and all that was measured, in this folder")
	only := flag.String("host", "", "of jami: play it only with rendezvous, or only with jamid, as host")
	list := flag.Bool("list", false, "list the scenarios, and play none")
	flag.Parse()
	daemon := scenario.Daemon()
	names, withDaemons := flag.Args(), flag.NArg() == 0
	if i := slices.Index(names, daemon.Name); i >= 0 {
		names, withDaemons = slices.Delete(names, i, i+1), true
	}
	var scenarios []scenario.Scenario
	if flag.NArg() == 0 || len(names) > 0 {
		if scenarios, err = scenario.Find(names...); err != nil {
			return err
		}
	}
	if *list {
		for _, s := range scenarios {
			fmt.Printf("%-14s %s\n", s.Name, s.Title)
		}
		fmt.Printf("%-14s %s\n", daemon.Name, daemon.Title)
		return nil
	}
	file, err := benchfmt.Append(*results)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	bin, err := filepath.Abs(*program) // it is started in a folder of its own
	if err != nil {
		return err
	}
	begun := time.Now()
	say := func(who string) func(string, ...any) {
		return func(format string, args ...any) {
			gone := time.Since(begun)
			fmt.Fprintf(os.Stderr, "  [%d:%02d] %s: %s\n", int(gone.Minutes()), int(gone.Seconds())%60, who, fmt.Sprintf(format, args...))
		}
	}
	met, all := 0, 0
	for _, s := range scenarios {
		fmt.Printf("%s (%s)\n", s.Title, s.Name)
		for i := range *runs {
			o := scenario.Options{Program: bin, Config: *config, Seed: *seed + uint64(i), Keep: *keep, Say: say(s.Name)}
			r, err := scenario.Play(ctx, o, s)
			if err != nil {
				if ctx.Err() != nil {
					return err
				}
				fmt.Printf("  FAILED: %v\n", err) // the others may be played all the same
				continue
			}
			m, err := tell(file, s, r)
			if err != nil {
				return err
			}
			met, all = met+m, all+len(s.Targets)
		}
	}
	if len(scenarios) > 0 {
		fmt.Printf("%d of %d targets met\n", met, all)
	}
	if withDaemons {
		return compare(ctx, file, scenario.Options{Program: bin, Config: *config, Say: say(daemon.Name)}, daemon, *only)
	}
	return nil
}

// compare has a Jami daemon behind a bad path in a room of ours, and in a conference of another daemon's; or in one of
// them only.
func compare(ctx context.Context, file *benchfmt.File, o scenario.Options, s scenario.Scenario, only string) error {
	hosts := []string{"rendezvous", "jamid"}
	if only != "" {
		if !slices.Contains(hosts, only) {
			return fmt.Errorf("-host %s: rendezvous or jamid", only)
		}
		hosts = []string{only}
	}
	fmt.Printf("%s (%s)\n", s.Title, s.Name)
	lines := make([]string, len(s.Targets))
	for _, host := range hosts {
		r, err := scenario.PlayWithDaemons(ctx, o, host == "rendezvous")
		if err != nil {
			return fmt.Errorf("%s: %w", host, err)
		}
		for i, v := range r.Judge(s) {
			t := s.Targets[i]
			unit, _, _ := strings.Cut(t.Unit, "-")
			lines[i] += fmt.Sprintf("%10.2f %-6s", v, unit)
			if math.IsNaN(v) {
				continue // nothing was there to be measured
			}
			name := fmt.Sprintf("Network/%s/%s/host=%s", s.Name, strings.Map(word, t.What), host)
			if err := file.Add(name, benchfmt.Value{Number: v, Unit: t.Unit}); err != nil {
				return err
			}
		}
		fmt.Printf("  with %s as host, the network itself was late by %.1f ms (99 %%)\n", host, float64(r.Late)/float64(time.Millisecond))
	}
	fmt.Printf("  %-48s", "host")
	for _, host := range hosts {
		fmt.Printf("%17s", host)
	}
	fmt.Println()
	for i, t := range s.Targets {
		fmt.Println(strings.TrimRight(fmt.Sprintf("  %-48s%s", t.What, lines[i]), " "))
	}
	return nil
}

// tell prints a run's measurements and keeps them, and returns how many of them are as they must be.
func tell(file *benchfmt.File, s scenario.Scenario, r *scenario.Result) (met int, err error) {
	for i, v := range r.Judge(s) {
		t := s.Targets[i]
		sign, verdict := "<=", "missed"
		if t.Least {
			sign = ">="
		}
		if t.Met(v) {
			verdict = "met"
			met++
		}
		unit, _, _ := strings.Cut(t.Unit, "-")
		fmt.Printf("  %-48s %8.2f %-8s %s %-5g %s\n", t.What, v, unit, sign, t.Limit, verdict)
		if math.IsNaN(v) {
			continue // nothing was there to be measured
		}
		name := fmt.Sprintf("Network/%s/%s", s.Name, strings.Map(word, t.What))
		if err := file.Add(name, benchfmt.Value{Number: v, Unit: t.Unit}); err != nil {
			return met, err
		}
	}
	fmt.Printf("  the network itself was late by %.1f ms (99 %%)\n", float64(r.Late)/float64(time.Millisecond))
	return met, nil
}

// word makes a part of a result's name out of text.
func word(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
		return r
	case r == ' ':
		return '_'
	}
	return -1
}
