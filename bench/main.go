// Command bench compares the host with the bare work of the codecs it uses, and
// measures what it adds in delay. Each figure is the median of several runs, and each
// ratio is of figures taken in the same run, one after the other. README.md says how each
// is measured.
//
//	go run ./bench [-runs 3] [-seconds 10] [-senders 4,9] [-clips PATTERN] [-inside] [-record=false] [-program bin/rendezvous] [-profile FILE]
//		[-results FILE] [-pages N,…] [picture|sound|delay|crowd …]
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"rendezvous/bench/benchfmt"
)

// options are what the command line asks for.
type options struct {
	runs    int
	length  time.Duration
	program string
	begun   time.Time
	senders []int  // of pictures, in one room after the other
	clips   string // pattern of the files that they send, "" for films made here
	inside  bool   // no host: the mixer alone
	tape    bool   // a host that records, too
	profile string // where to put the host's CPU profile, "" for none
	crowds  []int  // how many pages join, one run each
}

// say tells what is being done, beside the tables.
func (o options) say(run int, format string, args ...any) {
	gone := time.Since(o.begun)
	fmt.Fprintf(os.Stderr, "  [%d:%02d] run %d of %d: %s\n", int(gone.Minutes()), int(gone.Seconds())%60, run+1, o.runs, fmt.Sprintf(format, args...))
}

// figure is one line of the table, and one result for each of its values.
type figure struct {
	result string // its name in the file of results (benchfmt.File.Add)
	name   string
	unit   string
	values []float64 // of each run; the table has the median
	note   string    // a goal
}

func main() {
	o := options{begun: time.Now()}
	var seconds int
	flag.IntVar(&o.runs, "runs", 3, "runs of each measurement; the table has the medians")
	flag.IntVar(&seconds, "seconds", 10, "length of a run")
	flag.StringVar(&o.program, "program", "bin/rendezvous", "the host (make build)")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of the last run to this file (go tool pprof): of the host for picture and crowd, of the room with talkers for sound")
	o.crowds = []int{100, 300, crowdGoal}
	flag.Func("pages", "how many pages join, for crowd: one run each (default 100,300,1000)", func(s string) error {
		o.crowds = nil
		for text := range strings.SplitSeq(s, ",") {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				return fmt.Errorf("%q is no number of pages", text)
			}
			o.crowds = append(o.crowds, n)
		}
		return nil
	})
	senders := flag.String("senders", "4", "how many send pictures, numbers with commas between them")
	flag.StringVar(&o.clips, "clips", "", "pattern of files that they send: H.264 of 640x360 with access unit delimiters; without it, films made by ffmpeg")
	flag.BoolVar(&o.inside, "inside", false, "of picture only the mixer, not the host")
	flag.BoolVar(&o.tape, "record", true, "of picture a host that records, too")
	results := flag.String("results", "", "append each run's figures to this file, in the Go benchmark format")
	flag.Parse()
	o.length = time.Duration(seconds) * time.Second
	for text := range strings.SplitSeq(*senders, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 49 {
			fail(fmt.Errorf("-senders %s: each is a number from 1 to 49", *senders))
		}
		o.senders = append(o.senders, n)
	}
	file, err := benchfmt.Append(*results)
	if err != nil {
		fail(err)
	}
	benches := []struct {
		name, title string
		run         func(options) ([]figure, error)
	}{
		{"picture", "Picture: senders of 640x360@30 into 1280x720@30, one watcher", picture},
		{"sound", fmt.Sprintf("Sound: %d Opus callers in one room", soundLegs), sound},
		{"delay", "Delay added, in to out", delay},
		{"crowd", "Crowd: pages join one room, without media", crowd},
	}
	for _, b := range benches {
		if flag.NArg() > 0 && !slices.Contains(flag.Args(), b.name) {
			continue
		}
		fmt.Printf("\n%s\n", b.title)
		figures, err := b.run(o)
		if err != nil {
			fail(fmt.Errorf("%s: %w", b.name, err))
		}
		for _, f := range figures {
			fmt.Println(strings.TrimRight(fmt.Sprintf("  %-58s %9.4f %-8s %s", f.name, median(f.values), f.unit, f.note), " "))
			for _, v := range f.values {
				if err := file.Add(f.result, benchfmt.Value{Number: v, Unit: f.unit}); err != nil {
					fail(err)
				}
			}
		}
	}
	if err := file.Close(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if len(s) == 0 {
		return 0
	}
	if len(s)%2 == 1 {
		return s[len(s)/2]
	}
	return (s[len(s)/2-1] + s[len(s)/2]) / 2
}

// percentile is the value that p percent do not exceed.
func percentile(values []float64, p float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if len(s) == 0 {
		return 0
	}
	return s[min(int(p/100*float64(len(s))), len(s)-1)]
}
