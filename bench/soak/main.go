// Command soak has callers join a room of the program one after the other, each of them
// fresh: a browser, a telephone and a Jami daemon by turns. Of each it measures whether they hear and see who
// is there, and are heard and seen. README.md of the folder above says what is printed.
//
//	go run ./bench/soak [-joins 100] [-kinds browser,phone,daemon] [-program bin/rendezvous] [-artefacts artifacts/soak]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"rendezvous/internal/lab/jamilab"
)

// options are the command line's.
type options struct {
	joins     int
	kinds     string
	program   string
	artefacts string
}

// errFailed says that not all joins were as they should be. The table tells more.
var errFailed = errors.New("joins have failed")

func main() {
	var o options
	flag.IntVar(&o.joins, "joins", 100, "how many join")
	flag.StringVar(&o.kinds, "kinds", "browser,phone,daemon", "who joins, by turns")
	flag.StringVar(&o.program, "program", "bin/rendezvous", "the host (make build)")
	flag.StringVar(&o.artefacts, "artefacts", "artifacts/soak", "folder for what is kept of failed joins; it is emptied")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, o)
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		os.Exit(exit.ExitCode()) // the one in the laboratory has said why
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/soak:", err)
		os.Exit(1)
	}
}

// run starts this program again in the laboratory's namespace, where all but the daemon meet on
// loopback.
func run(ctx context.Context, o options) error {
	lab, err := jamilab.Attach()
	if err != nil {
		return err
	}
	if lab != nil {
		defer lab.Detach()
		return soak(ctx, lab, o)
	}
	return inLab(ctx, o)
}

// inLab starts the laboratory and runs this program in it.
func inLab(ctx context.Context, o options) (err error) {
	if o.program, err = filepath.Abs(o.program); err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	lab, err := jamilab.Up(starting, jamilab.Options{Peers: 1, Sound: true, Life: 15*time.Minute + time.Duration(o.joins)*time.Minute})
	if err != nil {
		return err
	}
	defer func() {
		if err := lab.Down(); err != nil {
			fmt.Fprintln(os.Stderr, "bench/soak:", err)
		}
	}()
	cmd, err := lab.Inside(ctx, "-joins", fmt.Sprint(o.joins), "-kinds", o.kinds, "-program", o.program, "-artefacts", o.artefacts)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 3 * time.Minute // the host finishes its recording
	runtime.LockOSThread()          // see Inside
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); !errors.Is(err, context.Canceled) { // which says no more than that we interrupted it
		return err
	}
	return nil
}
