package hosttest

import (
	"bytes"
	"errors"
	"fmt"
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
	p, err := s.Launch()
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// Launch runs the host and waits until it is ready. Stop or Kill ends it.
func (s *Site) Launch() (*Process, error) {
	p := &Process{t: s.t, cmd: s.wrapped("serve"), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	s.started = append(s.started, p)
	if err := p.await("Operators:  http"); err != nil { // the last line of what is printed at the start
		p.Kill()
		return nil, err
	}
	return p, nil
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
	if err := p.await(text); err != nil {
		p.t.Fatal(err)
	}
}

func (p *Process) await(text string) error {
	for end := time.Now().Add(patience); !strings.Contains(p.Output(), text); {
		select {
		case <-p.exited:
			if !strings.Contains(p.Output(), text) {
				return fmt.Errorf("the host ended without saying %q: %w\n%s", text, p.err, p.Output())
			}
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(end) {
			return fmt.Errorf("the host never said %q:\n%s", text, p.Output())
		}
	}
	return nil
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
	if err := p.end(); err != nil {
		p.t.Fatal(err)
	}
	return p.err
}

// end waits for the host's end, and makes one that does not come.
func (p *Process) end() error {
	select {
	case <-p.exited:
		return nil
	case <-time.After(patience):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // for its goroutines
		<-p.exited
		return fmt.Errorf("the host did not end:\n%s", p.Output())
	}
}

// Stop ends the host as systemd would, and returns what it ended with.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // unless it has ended already
	if err := p.end(); err != nil {
		return err
	}
	return p.err
}

// Kill ends the host as a power cut would.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // unless it has ended already
	<-p.exited
}
