package jamilab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The environment by which a program that runs in the lab finds it.
const (
	envName = "JAMILAB_TEST_NAME"
	envDir  = "JAMILAB_TEST_DIR"
)

// envLogs names the folder where what the daemons of a failed test logged and
// stored is kept, and the stacks of their threads. Without it, the test shows the ends of their logs.
const envLogs = "JAMILAB_LOGS"

// freshLabs is how often a test may begin at most, each time with fresh daemons.
const freshLabs = 4

// brokenDaemon begins a line by which the test in the lab tells that a daemon has broken.
const brokenDaemon = "jamilab: broken daemon: "

// Run starts a lab and runs body in its namespace "app", where the program
// under test belongs: the test binary starts itself there, for this one test.
// The lab is gone when Run returns. Call it as the whole of a top-level test.
// Without root it fails.
//
// A body that fails when a daemon has visibly broken (defect.go) begins anew in
// a fresh lab; that is told as the test's attribute "broken-daemon".
func Run(t *testing.T, o Options, body func(t *testing.T, l *Lab)) {
	t.Helper()
	l, err := Attach()
	if err != nil {
		t.Fatal(err)
	}
	if l != nil {
		within(t, l, body)
		return
	}
	place, err := takeTurn(o.Alone)
	if err != nil {
		t.Fatal(err)
	}
	defer place.end()
	for begun := 1; ; begun++ {
		out, broken, err := once(t, o)
		if err == nil {
			t.Logf("in the lab:\n%s", out)
			return
		}
		for _, b := range broken {
			t.Attr("broken-daemon", b)
		}
		if len(broken) == 0 || begun == freshLabs {
			t.Logf("in the lab:\n%s", out)
			t.Errorf("%v\n%s", err, said(out)) // last: of a long report, the end is kept and read
			return
		}
		t.Logf("begins anew: %s", strings.Join(broken, "; "))
	}
}

// within is the test in the lab's namespace.
func within(t *testing.T, l *Lab, body func(t *testing.T, l *Lab)) {
	t.Helper()
	defer l.Detach()
	defer l.watch()()
	// Before the test takes down what it has made: that changes what the daemons do.
	defer func() {
		if t.Failed() {
			for _, b := range l.defects() {
				fmt.Fprintln(os.Stdout, brokenDaemon+b)
			}
		}
	}()
	body(t, l)
}

// once runs the test in a lab of its own, and returns what it has said, and
// which daemons have broken if it failed.
func once(t *testing.T, o Options) (out string, broken []string, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	l, err := Up(ctx, o)
	if errors.Is(err, ErrDaemon) {
		line, _, _ := strings.Cut(err.Error(), "\n") // an attribute is one; what follows is the daemon's log
		return "", []string{"at its start: " + line}, err
	}
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, l.Down()) }()
	out, err = inside(t, l)
	for line := range strings.Lines(out) {
		if b, ok := strings.CutPrefix(strings.TrimSpace(line), brokenDaemon); ok {
			broken = append(broken, b)
		}
	}
	return out, broken, err
}

// linesSaid is how many lines of a failed test are repeated at its end.
const linesSaid = 12

// testLine is a line that a test has logged.
var testLine = regexp.MustCompile(`^\s+\w+_test\.go:\d+: `)

// said are the last lines that a test in the lab has logged itself: its failures are among them, which the
// logs of the programs in it hide.
func said(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		if testLine.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-linesSaid):], "")
}

// inside runs this very test in the namespace "app".
func inside(t *testing.T, l *Lab) (string, error) {
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.count=1"}
	if end, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout="+(time.Until(end)-5*time.Second).String())
	}
	c, err := l.Inside(t.Context(), args...)
	if err != nil {
		return "", err
	}
	runtime.LockOSThread() // see Inside
	defer runtime.UnlockOSThread()
	out, err := c.CombinedOutput()
	if err != nil {
		keepLogs(t, l)
		err = fmt.Errorf("in the lab: %w", err)
	}
	return string(out), err
}

// Inside prepares this very program to run in the namespace "app", where Attach gives it the lab. It is
// killed if we are, which is tied to the thread that starts it: the caller locks itself to it
// (runtime.LockOSThread) until it has ended.
func (l *Lab) Inside(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("jamilab: %w", err)
	}
	c := l.Command(ctx, "app", self, args...)
	c.Env = append(os.Environ(), envName+"="+l.name, envDir+"="+l.dir)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c, nil
}

// Attach returns the lab in which this program was started by Inside, nil if it was not. Detach leaves
// it.
func Attach() (*Lab, error) {
	if os.Getenv(envName) == "" {
		return nil, nil
	}
	l := &Lab{name: os.Getenv(envName), dir: os.Getenv(envDir)}
	l.script = filepath.Join(l.dir, "lab.sh")
	if err := l.connect(); err != nil {
		l.Detach()
		return nil, err
	}
	return l, nil
}

// Detach leaves a lab as it is.
func (l *Lab) Detach() { l.disconnect() }

// keepLogs shows the ends of the daemons' logs of a failed test, or keeps them all.
func keepLogs(t *testing.T, l *Lab) {
	for _, p := range l.peers {
		dir := os.Getenv(envLogs)
		if dir == "" {
			out, err := exec.Command("tail", "-n", "60", p.LogFile()).CombinedOutput()
			t.Logf("log of %s (%v):\n%s", p.name, err, out)
			continue
		}
		kept := filepath.Join(dir, t.Name()+"-"+l.name+"-"+p.name)
		err := errors.Join(os.MkdirAll(kept, 0o700), exec.Command("cp", "-r", p.LogFile(), filepath.Join(p.Home(), ".local/share/jami"), kept).Run())
		// Where it hangs, if it does; gdb need not be there.
		if recorded, e := os.ReadFile(filepath.Join(l.run(), "pids", p.name+".jamid")); e == nil {
			pid, _, _ := strings.Cut(string(recorded), " ")
			stacks, e := exec.Command("gdb", "-p", pid, "-batch", "-ex", "thread apply all bt 25").Output()
			if e == nil {
				err = errors.Join(err, os.WriteFile(filepath.Join(kept, "stacks"), stacks, 0o600))
			}
		}
		t.Logf("log and data of %s are in %s (%v)", p.name, kept, err)
	}
}
