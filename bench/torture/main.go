// Command torture does to a host what a data folder must survive, while people meet, speak, order and are
// recorded: it is killed, the power is cut, the disk fills, the clock is set, the network parts. What the host has acknowledged is kept in a model, and after each fault
// the host is asked for all of it. README.md of the folder above says what is printed.
//
//	go run ./bench/torture [-for 1h] [-disk ext4,xfs] [-program bin/rendezvous] [-artefacts artifacts/torture]
//
// It needs root, for file systems and a network of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options are the command line's.
type options struct {
	lasting   time.Duration
	disks     string
	program   string
	artefacts string
	seed      uint64
	member    bool    // another host is a member of the conversation, and must have all of it
	faults    []fault // one after the other, and no more; nil: by chance, for the time
}

// errFailed says that something acknowledged is not there, or that a start was refused. The table tells more.
var errFailed = errors.New("not everything that was acknowledged has been kept")

func main() {
	var o options
	flag.DurationVar(&o.lasting, "for", time.Hour, "how long")
	flag.StringVar(&o.disks, "disk", "ext4,xfs", "what the data folder lies on, in turns: ext4, xfs, tmpfs (whose power cannot be cut)")
	flag.StringVar(&o.program, "program", "bin/rendezvous", "the host (make build)")
	flag.StringVar(&o.artefacts, "artefacts", "artifacts/torture", "folder for what is kept of failures; it is emptied")
	flag.Uint64Var(&o.seed, "seed", 1, "of what happens when")
	flag.BoolVar(&o.member, "member", true, "have another host in the conversation, in a network of its own that is cut off now and then")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	t, err := torture(ctx, o)
	fmt.Print(t)
	if err == nil && t.failed() {
		err = errFailed
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/torture:", err)
		os.Exit(1)
	}
}

// torture runs for its time, an equal part of it on each disk.
func torture(ctx context.Context, o options) (t *table, err error) {
	t = &table{}
	if o.program, err = filepath.Abs(o.program); err != nil {
		return t, err
	}
	if err := os.RemoveAll(o.artefacts); err != nil {
		return t, err
	}
	if err := os.MkdirAll(o.artefacts, 0o755); err != nil {
		return t, err
	}
	random := rand.New(rand.NewPCG(o.seed, o.seed))
	kinds := strings.Split(o.disks, ",")
	for _, kind := range kinds {
		if err := onDisk(ctx, o, kind, o.lasting/time.Duration(len(kinds)), random, t); err != nil {
			return t, err
		}
	}
	return t, nil
}

// onDisk tortures a host whose data folder lies on one kind of disk.
func onDisk(ctx context.Context, o options, kind string, lasting time.Duration, random *rand.Rand, t *table) (err error) {
	dir, err := os.MkdirTemp("", "torture-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d, err := newDisk(kind, dir)
	if err != nil {
		return fmt.Errorf("make a disk with %s: %w", kind, err)
	}
	defer func() { err = errors.Join(err, d.remove()) }()
	h, err := newHost(ctx, dir, o, d)
	if err != nil {
		return err
	}
	defer h.close()
	if err := h.start(ctx); err != nil {
		return err
	}
	if h.member != nil {
		first := &round{}
		if h.checkMember(ctx, first); len(first.failures) > 0 {
			return errors.New(first.failures[0])
		}
	}
	end := time.Now().Add(lasting)
	for n := 0; ctx.Err() == nil; n++ {
		r := &round{number: len(t.rounds) + 1, disk: kind}
		switch {
		case o.faults == nil && time.Now().Before(end):
			all := h.faults()
			r.fault = all[random.IntN(len(all))]
		case n < len(o.faults):
			r.fault = o.faults[n]
		default:
			return nil
		}
		t.rounds = append(t.rounds, r)
		h.run(ctx, r, random)
		fmt.Println(r)
		if len(r.failures) > 0 {
			h.keep(filepath.Join(o.artefacts, fmt.Sprintf("%03d-%s", r.number, r.fault)))
		}
		if r.dead {
			return fmt.Errorf("the host does not start any more: %s", r.failures[0])
		}
	}
	return ctx.Err()
}
