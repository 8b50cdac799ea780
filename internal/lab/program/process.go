package program

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a host that runs.
type Process struct {
	t      testing.TB
	cmd    *exec.Cmd
	out    output
	exited chan struct{} // closed when err is set
	err    error
}

// output is what a process has said so far.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

// Start runs the host and waits until it is ready. It is killed at the end of the test,
// if it runs still, and its last words are logged if the test has failed.
func (s *Site) Start() *Process {
	s.t.Helper()
	p := &Process{t: s.t, cmd: s.Command(context.Background(), "serve"), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	s.started = append(s.started, p)
	p.Await("Operators:  http") // the last line of what is printed at the start
	return p
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output is what the host has said so far, on both its outputs.
func (p *Process) Output() string {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return p.out.text.String()
}

// Await waits until the host has said something.
func (p *Process) Await(text string) {
	p.t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(p.Output(), text); {
		select {
		case <-p.exited:
			if !strings.Contains(p.Output(), text) {
				p.t.Fatalf("the host ended without saying %q: %v\n%s", text, p.err, p.Output())
			}
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(end) {
			p.t.Fatalf("the host never said %q:\n%s", text, p.Output())
		}
	}
}

// Signal sends the host a signal.
func (p *Process) Signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
}

// Wait waits for the host's end, and returns what it ended with.
func (p *Process) Wait() error {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.Signal(syscall.SIGQUIT) // for its goroutines
		<-p.exited
		p.t.Fatalf("the host did not end:\n%s", p.Output())
	}
	return p.err
}

// Kill ends the host as a power cut would.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // unless it has ended already
	<-p.exited
}
