// Command fuzz runs fuzz tests one after the other and says of each how much was
// executed, what was found, and what that adds to the coverage of the package under test
// beyond what its seeds cover. It goes on after a failure, and exits 1 if there was one.
//
//	go run ./scripts/fuzz [-time 10s] [-run REGEXP] [-keep] [PACKAGES]
//
// What the fuzzer finds is in Go's cache, which `go clean -fuzzcache` empties; -keep copies the
// inputs that add coverage to testdata/fuzz/NAME of the package, where every `go test` runs them.
// -time 0 does not fuzz, and looks at what is in the cache.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	var o options
	flag.DurationVar(&o.time, "time", 10*time.Second, "how long each fuzz test runs; 0 only looks at what was found before")
	run := flag.String("run", "", "only fuzz tests whose \"package.Name\" matches this regular expression")
	flag.BoolVar(&o.keep, "keep", false, "copy found inputs that add coverage to testdata/fuzz")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if o.only, err = regexp.Compile(*run); err == nil {
		err = o.run(ctx, flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

// options are the command line's.
type options struct {
	time time.Duration
	only *regexp.Regexp
	keep bool
}

func (o options) run(ctx context.Context, patterns []string) error {
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	targets, err := find(ctx, patterns)
	if err != nil {
		return err
	}
	cache, err := goEnv(ctx, "GOCACHE")
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "fuzz")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	count, failed := 0, []string{}
	for _, t := range targets {
		if !o.only.MatchString(t.String()) {
			continue
		}
		count++
		line, err := o.one(ctx, t, filepath.Join(cache, "fuzz"), temp)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed = append(failed, t.String())
			line = "FAILED: " + err.Error()
		}
		fmt.Printf("%s: %s\n", t, line)
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d fuzz tests failed: %s", len(failed), count, strings.Join(failed, ", "))
	}
	if count == 0 {
		return fmt.Errorf("no fuzz test in %s matches %q", strings.Join(patterns, " "), o.only)
	}
	fmt.Printf("%d fuzz tests passed\n", count)
	return nil
}

// one runs one fuzz test and returns what there is to say of it, in a line.
func (o options) one(ctx context.Context, t target, cache, temp string) (string, error) {
	p, err := newProbe(ctx, t, temp)
	if err != nil {
		return "", err
	}
	// Before the fuzzer runs: an input on which it fails is put with the seeds by go test.
	seeds, err := p.cover(ctx, nil)
	if err != nil {
		return "", fmt.Errorf("running the seeds: %w", err)
	}
	var said []string
	if o.time > 0 {
		f, err := t.fuzz(ctx, o.time, os.Stdout)
		if err != nil {
			return "", err
		}
		said = append(said, f.String())
	}
	found, err := inputs(filepath.Join(cache, filepath.FromSlash(t.pkg), t.name))
	if err != nil {
		return "", err
	}
	all, err := p.cover(ctx, found)
	if err != nil {
		return "", fmt.Errorf("running what is in the cache (go clean -fuzzcache empties it): %w", err)
	}
	said = append(said, gained(seeds, all))
	if o.keep {
		kept, err := keep(ctx, p, seeds, found)
		if err != nil {
			return "", err
		}
		said = append(said, fmt.Sprintf("%d inputs kept", kept))
	}
	return strings.Join(said, ", "), nil
}
