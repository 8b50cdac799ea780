// Command load loads a running host from another process and prints what that costs: CPU of the host alone, from /proc, beside
// the bare work or another program in the same run, and what else the machine did meanwhile. ../README.md says how each row is
// measured.
//
//	go run ./bench/load [-runs 1] [-windows 3] [-seconds 3] [-program bin/rendezvous] [-results FILE] [-list] [ROW …]
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
	"strconv"
	"strings"
	"syscall"
	"time"

	"rendezvous/bench/benchfmt"
)

// mostCallers bounds a row: a host's browser door takes no more.
const mostCallers = 2000

// bench is one run of this program.
type bench struct {
	program string
	runs    int
	windows int           // of each measurement
	length  time.Duration // of a window
	dir     string        // for whatever is started
	file    *benchfmt.File
	voices  voices
	id      identity
	begun   time.Time
	row     string
	doubts  []string // about the present row's figures
}

// row is one thing that is measured. number is that of callers, rooms or joins.
type row struct {
	name, title string
	numbers     []int // as it is measured by default; none: it has no number
	run         func(b *bench, ctx context.Context, number int) ([]figure, error)
}

func rows() []row {
	return []row{
		{"sound", "callers with Opus in one room", []int{50, 200, 500, 1000}, (*bench).sound},
		{"listeners", "listeners without a microphone, and one who talks", []int{200}, (*bench).listeners},
		{"churn", "joins and leaves", []int{1000}, (*bench).churn},
		{"idle", "empty rooms, without Jami", []int{200}, (*bench).idle},
		{"delay", "samples of the delay from one caller to another", []int{200}, (*bench).delay},
		{"picture", "joins of watchers until they have the first picture", []int{40}, (*bench).picture},
	}
}

// figure is one line of the table, and one result for each of its values.
type figure struct {
	result string // its name in the file of results (benchfmt.File.Add)
	name   string
	unit   string
	values []float64 // of each window; the table has the median
}

// planned is a row with its number.
type planned struct {
	row
	number int
}

func (p planned) String() string {
	if p.number == 0 {
		return p.name
	}
	return fmt.Sprintf("%s-%d", p.name, p.number)
}

// plan finds rows by their names; a name without a number is all of it. No names: all there are.
func plan(names []string) (out []planned, err error) {
	for _, r := range rows() {
		for _, n := range r.numbers {
			if len(names) == 0 || slices.Contains(names, r.name) {
				out = append(out, planned{r, n})
			}
		}
	}
	for _, name := range names {
		kind, number, numbered := strings.Cut(name, "-")
		i := slices.IndexFunc(rows(), func(r row) bool { return r.name == kind })
		if i < 0 {
			return nil, fmt.Errorf("there is no row %q (-list)", name)
		}
		if !numbered {
			continue
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > mostCallers {
			return nil, fmt.Errorf("%s: a number from 1 to %d", name, mostCallers)
		}
		out = append(out, planned{rows()[i], n})
	}
	return out, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	b := &bench{begun: time.Now()}
	flag.StringVar(&b.program, "program", "bin/rendezvous", "the host (make build)")
	flag.IntVar(&b.runs, "runs", 1, "of each row")
	flag.IntVar(&b.windows, "windows", 3, "of each measurement; the table has the medians")
	flag.DurationVar(&b.length, "length", 3*time.Second, "of a window")
	results := flag.String("results", "", "append each window's figures to this file, in the Go benchmark format")
	list := flag.Bool("list", false, "list the rows, and measure none")
	flag.Parse()
	todo, err := plan(flag.Args())
	if err != nil {
		return err
	}
	if *list {
		for _, p := range todo {
			fmt.Printf("%-16s %d %s\n", p, p.number, p.title)
		}
		return nil
	}
	if b.program, err = filepath.Abs(b.program); err != nil { // it is started in a folder of its own
		return err
	}
	if b.file, err = benchfmt.Append(*results); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.file.Close()) }()
	if b.dir, err = os.MkdirTemp("", "bench-load"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.prepare(); err != nil {
		return err
	}
	failed := 0
	for _, p := range todo {
		b.row = p.String()
		fmt.Printf("\n%d %s (%s; load before: %s)\n", p.number, p.title, p, loadAverage())
		if err := b.measure(ctx, p); err != nil {
			if ctx.Err() != nil {
				return err
			}
			failed++
			fmt.Printf("  FAILED: %v\n", err) // the others may be measured all the same
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d rows failed", failed, len(todo))
	}
	return nil
}

// prepare makes what all rows need.
func (b *bench) prepare() (err error) {
	if b.voices, err = newVoices(); err != nil {
		return err
	}
	b.id, err = newIdentity()
	return err
}

// measure measures one row, prints its table and keeps its results.
func (b *bench) measure(ctx context.Context, p planned) error {
	var all []figure
	b.doubts = nil
	for range b.runs {
		figures, err := p.run(b, ctx, p.number)
		if err != nil {
			return err
		}
		for _, f := range figures {
			i := slices.IndexFunc(all, func(a figure) bool { return a.result == f.result && a.unit == f.unit })
			if i < 0 {
				all = append(all, f)
			} else {
				all[i].values = append(all[i].values, f.values...)
			}
		}
	}
	for i, f := range all {
		if i == 0 || all[i-1].result != f.result {
			fmt.Printf("  %s\n", f.result)
		}
		fmt.Println(f)
		for _, v := range f.values {
			if math.IsNaN(v) {
				continue // nothing was there to be measured
			}
			if err := b.file.Add(f.result, benchfmt.Value{Number: v, Unit: f.unit}); err != nil {
				return err
			}
		}
	}
	for _, d := range b.doubts {
		fmt.Printf("  doubtful: %s\n", d)
	}
	return nil
}

// String is a figure's line in the table: the median, and the least and the most.
func (f figure) String() string {
	spread := ""
	if len(f.values) > 1 {
		spread = fmt.Sprintf("%.4g to %.4g", slices.Min(f.values), slices.Max(f.values))
	}
	return strings.TrimRight(fmt.Sprintf("    %-32s %10.4g %-20s %s", f.name, median(f.values), f.unit, spread), " ")
}

// say tells what is being done, beside the tables.
func (b *bench) say(format string, args ...any) {
	gone := time.Since(b.begun)
	fmt.Fprintf(os.Stderr, "  [%d:%02d] %s: %s\n", int(gone.Minutes()), int(gone.Seconds())%60, b.row, fmt.Sprintf(format, args...))
}

// tell tells what was seen in a window, and whatever makes that doubtful.
func (b *bench) tell(what string, i int, w window) {
	b.say("%s, window %d: the host used %.3f cores, the generator %.3f, others %.3f", what, i+1, w.host, w.generator, w.others)
	for _, why := range w.doubts() {
		b.say("%s", why)
		b.doubts = append(b.doubts, fmt.Sprintf("%s, window %d: %s", what, i+1, why))
	}
}

// pause waits, unless there is no more time.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
