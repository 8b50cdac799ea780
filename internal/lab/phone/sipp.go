package phone

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"rendezvous/internal/freeport"
)

// Scenario is a run of sipp: one side of a conversation written in XML.
type Scenario struct {
	File   string         // the scenario
	Target netip.AddrPort // whom to call; not valid for a scenario that waits to be called
	TCP    bool
	Port   int               // of its own; 0: any
	Calls  int               // how many one after the other; 0: 1
	Rate   int               // calls per second; 0: 10
	Keys   map[string]string // replace [name] in the scenario
	Extra  []string          // further arguments
	Limit  time.Duration     // 0: 30 s
}

// Run plays a scenario and returns an error with sipp's own account if it was not followed.
func (s Scenario) Run(ctx context.Context) error {
	run, err := s.Start(ctx)
	if err != nil {
		return err
	}
	return run.Wait()
}

// Running is a scenario being played.
type Running struct {
	Port int // of its own

	scenario Scenario
	dir      string
	cmd      *exec.Cmd
	out      bytes.Buffer
	cancel   context.CancelFunc
}

// Start begins to play a scenario. Wait should follow; else sipp ends with ctx.
func (s Scenario) Start(ctx context.Context) (*Running, error) {
	if _, err := exec.LookPath("sipp"); err != nil {
		return nil, fmt.Errorf("play scenario: install the Debian package sip-tester: %w", err)
	}
	file, err := filepath.Abs(s.File)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sipp-")
	if err != nil {
		return nil, fmt.Errorf("play scenario: %w", err)
	}
	ports, err := freeport.Take(3)
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("play scenario: %w", err)
	}
	if s.Port != 0 {
		ports[0] = s.Port
	}
	if s.Limit == 0 {
		s.Limit = 30 * time.Second
	}
	transport := "u1"
	if s.TCP {
		transport = "t1"
	}
	host := "127.0.0.1"
	if s.Target.Addr().Is6() {
		host = "::1"
	}
	args := []string{
		"-sf", file, "-i", host, "-p", strconv.Itoa(ports[0]), "-t", transport,
		"-mi", host, "-mp", strconv.Itoa(ports[1]), "-cp", strconv.Itoa(ports[2]),
		"-m", strconv.Itoa(max(1, s.Calls)), "-r", strconv.Itoa(max(10, s.Rate)), "-nostdin", "-default_behaviors", "all",
		"-trace_msg", "-message_file", "messages", "-trace_err", "-error_file", "errors",
		"-timeout", strconv.Itoa(int(s.Limit.Seconds())) + "s", "-timeout_error",
	}
	for k, v := range s.Keys {
		args = append(args, "-key", k, v)
	}
	args = append(args, s.Extra...)
	if s.Target.IsValid() {
		args = append(args, s.Target.String())
	}
	context.AfterFunc(ctx, func() { os.RemoveAll(dir) }) // where Wait was not reached
	ctx, cancel := context.WithTimeout(ctx, s.Limit+10*time.Second)
	r := &Running{Port: ports[0], scenario: s, dir: dir, cancel: cancel}
	r.cmd = exec.CommandContext(ctx, "sipp", args...)
	r.cmd.Dir = dir
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	if err := r.cmd.Start(); err != nil {
		cancel()
		os.RemoveAll(dir)
		return nil, fmt.Errorf("play scenario: %w", err)
	}
	return r, nil
}

// Wait waits for the end of the scenario.
func (r *Running) Wait() error {
	defer os.RemoveAll(r.dir)
	defer r.cancel()
	err := r.cmd.Wait()
	if err == nil {
		return nil
	}
	messages, _ := os.ReadFile(filepath.Join(r.dir, "messages"))
	errors, _ := os.ReadFile(filepath.Join(r.dir, "errors"))
	tail := r.out.String()
	if i := strings.LastIndex(tail, "------"); i > 2000 {
		tail = tail[i-2000:]
	}
	return fmt.Errorf("scenario %s: %w\n%s\n%s\n%s", filepath.Base(r.scenario.File), err, tail, errors, messages)
}
