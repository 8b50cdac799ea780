// Package hosttest runs a rendezvous as its users do, for tests and measurements that look at
// it from outside: a folder with the shipped configuration, ports that are free, and the program
// as a process in it. It starts no program of others, and so is no part of the laboratory. A measurement,
// which is no test, calls Prepare, Launch and Stop, and is told of errors.
package hosttest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/freeport"
)

// patience is for events that take milliseconds on an idle machine.
const patience = 60 * time.Second

// Site is a folder with config.yaml and, once the host has run, data.
type Site struct {
	Dir                  string
	Web, SIP, TLS, Admin int      // ports
	Env                  []string // of the program, besides the test's; a later one has precedence
	Wrap                 []string // what the host is run by, with its arguments: of a network namespace, say; nil: by itself

	t       testing.TB // nil of a site that was prepared for no test
	bin     string
	started []*Process
}

// NewSite makes a site for the program at bin, with the configuration file given. The doors listen
// on loopback, the Jami door is closed; env, in the form of os.Environ, may change that.
func NewSite(t testing.TB, bin, config string, env ...string) *Site {
	t.Helper()
	s, err := Prepare(t.TempDir(), bin, config, env...)
	if err != nil {
		t.Fatal(err)
	}
	s.t = t
	t.Cleanup(s.end) // after whatever the test itself does at its end
	return s
}

// Prepare is NewSite in a folder of the caller's.
func Prepare(dir, bin, config string, env ...string) (*Site, error) {
	s := &Site{Dir: dir, bin: bin}
	text, err := os.ReadFile(config)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.config(), text, 0o600); err != nil {
		return nil, err
	}
	ports, err := freeport.Take(4)
	if err != nil {
		return nil, fmt.Errorf("find free ports: %w", err)
	}
	s.Web, s.SIP, s.TLS, s.Admin = ports[0], ports[1], ports[2], ports[3]
	s.Env = append([]string{
		fmt.Sprintf("RENDEZVOUS_WEB_LISTEN=127.0.0.1:%d", s.Web),
		fmt.Sprintf("RENDEZVOUS_SIP_UDP=127.0.0.1:%d", s.SIP),
		fmt.Sprintf("RENDEZVOUS_SIP_TCP=127.0.0.1:%d", s.SIP),
		fmt.Sprintf("RENDEZVOUS_SIP_TLS=127.0.0.1:%d", s.TLS),
		fmt.Sprintf("RENDEZVOUS_ADMIN_LISTEN=127.0.0.1:%d", s.Admin),
		"RENDEZVOUS_JAMI_ENABLED=false",
	}, env...)
	return s, nil
}

// end kills what still runs, and shows what the last host said if the test has failed.
func (s *Site) end() {
	for _, p := range s.started {
		p.Kill()
	}
	if n := len(s.started); n > 0 && s.t.Failed() {
		out := s.started[n-1].Output()
		s.t.Logf("the host said:\n%s", out[max(0, len(out)-20000):])
	}
}

// Data is a file or folder of the host's data folder.
func (s *Site) Data(name string) string { return filepath.Join(s.Dir, "data", name) }

func (s *Site) config() string { return filepath.Join(s.Dir, "config.yaml") }

// Write replaces the configuration.
func (s *Site) Write(config string) {
	s.t.Helper()
	if err := os.WriteFile(s.config(), []byte(config), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// Replace changes the first place of a text in the configuration, which must have it.
func (s *Site) Replace(old, new string) {
	s.t.Helper()
	text, err := os.ReadFile(s.config())
	if err != nil {
		s.t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(old)) {
		s.t.Fatalf("config.yaml has no %q", old)
	}
	s.Write(strings.Replace(string(text), old, new, 1))
}

// Command is the program in the folder.
func (s *Site) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.bin, args...)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), s.Env...)
	return cmd
}

// wrapped is Command by what wraps the host.
func (s *Site) wrapped(args ...string) *exec.Cmd {
	cmd := s.Command(context.Background(), args...)
	if len(s.Wrap) == 0 {
		return cmd
	}
	by := exec.Command(s.Wrap[0], append(slices.Clone(s.Wrap[1:]), cmd.Args...)...)
	by.Dir, by.Env = cmd.Dir, cmd.Env
	return by
}

// Run runs a command to its end and returns what it printed.
func (s *Site) Run(args ...string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := s.Command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// FreePorts are ports of freeport's, for a test.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	ports, err := freeport.Take(n)
	if err != nil {
		t.Fatal(err)
	}
	return ports
}
