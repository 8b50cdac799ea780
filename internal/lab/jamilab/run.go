package jamilab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// The environment by which a test that runs in the lab finds it.
const (
	envName = "JAMILAB_TEST_NAME"
	envDir  = "JAMILAB_TEST_DIR"
)

// envLogs names the folder where what the daemons of a failed test logged and
// stored is kept. Without it, the test shows the ends of their logs.
const envLogs = "JAMILAB_LOGS"

// Run starts a lab and runs body in its namespace "app", where the program
// under test belongs: the test binary starts itself there, for this one test.
// The lab is gone when Run returns. Call it as the whole of a top-level test.
// Without root it fails.
func Run(t *testing.T, o Options, body func(t *testing.T, l *Lab)) {
	t.Helper()
	if os.Getenv(envName) != "" {
		l := &Lab{name: os.Getenv(envName), dir: os.Getenv(envDir)}
		l.script = filepath.Join(l.dir, "lab.sh")
		if err := l.connect(); err != nil {
			t.Fatal(err)
		}
		defer l.disconnect()
		body(t, l)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	l, err := Up(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	}()
	if err := inside(t, l); err != nil {
		t.Error(err)
	}
}

// inside runs this very test in the namespace "app" and reports how it ended.
func inside(t *testing.T, l *Lab) error {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.count=1"}
	if end, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout="+(time.Until(end)-5*time.Second).String())
	}
	c := l.Command(t.Context(), "app", self, args...)
	c.Env = append(os.Environ(), envName+"="+l.name, envDir+"="+l.dir)
	// If we are killed, so is it. That is tied to the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := c.CombinedOutput()
	if err != nil {
		keepLogs(t, l)
	}
	t.Logf("in the lab:\n%s", out) // last, because it says what is wrong
	if err != nil {
		return fmt.Errorf("in the lab: %w", err)
	}
	return nil
}

// keepLogs shows the ends of the daemons' logs of a failed test, or keeps them all.
func keepLogs(t *testing.T, l *Lab) {
	for _, p := range l.peers {
		dir := os.Getenv(envLogs)
		if dir == "" {
			out, err := exec.Command("tail", "-n", "100", p.LogFile()).CombinedOutput()
			t.Logf("log of %s (%v):\n%s", p.name, err, out)
			continue
		}
		kept := filepath.Join(dir, t.Name()+"-"+l.name+"-"+p.name)
		err := errors.Join(os.MkdirAll(kept, 0o700), exec.Command("cp", "-r", p.LogFile(), filepath.Join(p.Home(), ".local/share/jami"), kept).Run())
		t.Logf("log and data of %s are in %s (%v)", p.name, kept, err)
	}
}
