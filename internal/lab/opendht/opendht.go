// Package opendht runs OpenDHT's own programs for tests and comparisons: the dhtnode command and a small Python program
// over its library. It needs Debian's packages dhtnode and python3-opendht, and says so when they are missing.
package opendht

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"rendezvous/internal/freeport"
)

// process is a program that is driven over its standard input and read line by line.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser

	mu    sync.Mutex // guards the rest
	lines []string
	more  chan struct{} // closed and replaced with every line
	ended bool
}

func start(name string, args ...string) (*process, error) {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w (needs Debian's packages dhtnode and python3-opendht)", err)
	}
	p := &process{cmd: cmd, stdin: stdin, more: make(chan struct{})}
	go p.collect(stdout)
	return p, nil
}

// maxLines bounds what is remembered of a program's output.
const maxLines = 100_000

func (p *process) collect(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		p.add(lines.Text(), false)
	}
	p.add("", true)
}

func (p *process) add(line string, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ended {
		p.ended = true
	} else if p.lines = append(p.lines, line); len(p.lines) > maxLines {
		p.lines = p.lines[1:]
	}
	close(p.more)
	p.more = make(chan struct{})
}

// Mark returns the present end of the output, to expect from there on.
func (p *process) Mark() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lines)
}

// Command writes a line to the program.
func (p *process) Command(format string, args ...any) error {
	_, err := fmt.Fprintf(p.stdin, format+"\n", args...)
	return err
}

// Expect waits for a line after mark that matches, and returns the matches of its groups, the whole first.
func (p *process) Expect(ctx context.Context, mark int, pattern string) ([]string, error) {
	re := regexp.MustCompile(pattern)
	for {
		p.mu.Lock()
		for _, line := range p.lines[min(mark, len(p.lines)):] {
			if m := re.FindStringSubmatch(line); m != nil {
				p.mu.Unlock()
				return m, nil
			}
		}
		seen := p.lines[min(mark, len(p.lines)):]
		ended, more := p.ended, p.more
		p.mu.Unlock()
		if ended {
			return nil, fmt.Errorf("%s ended without a line like %q:\n%s", p.cmd.Path, pattern, tail(seen))
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, fmt.Errorf("no line like %q from %s: %w:\n%s", pattern, p.cmd.Path, ctx.Err(), tail(seen))
		}
	}
}

// ExpectCount waits until count lines after mark match.
func (p *process) ExpectCount(ctx context.Context, mark int, pattern string, count int) error {
	re := regexp.MustCompile(pattern)
	for seen := 0; ; {
		p.mu.Lock()
		for ; mark < len(p.lines); mark++ {
			if re.MatchString(p.lines[mark]) {
				seen++
			}
		}
		ended, more := p.ended, p.more
		p.mu.Unlock()
		switch {
		case seen >= count:
			return nil
		case ended:
			return fmt.Errorf("%s ended after %d of %d lines like %q", p.cmd.Path, seen, count, pattern)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d lines like %q from %s: %w", seen, count, pattern, p.cmd.Path, ctx.Err())
		}
	}
}

func tail(lines []string) string {
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// Lines returns the output after mark.
func (p *process) Lines(mark int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines[min(mark, len(p.lines)):]...)
}

// Pid returns the process id.
func (p *process) Pid() int { return p.cmd.Process.Pid }

// Kill ends the program at once, as a crash would.
func (p *process) Kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
	p.stdin.Close()
}

// Node is a running dhtnode.
type Node struct {
	*process
	Port int
	// ID is the node id; KeyID the short id of its key, if it has an identity.
	ID, KeyID string
}

// Options of a dhtnode.
type Options struct {
	Bootstrap string // host:port; may be empty
	Identity  bool   // make a key, to sign and decrypt with; takes seconds
	Network   int
	Port      int // 0: a free one
}

// StartNode runs a dhtnode and waits until it listens.
func StartNode(ctx context.Context, o Options) (*Node, error) {
	if o.Port == 0 {
		port, err := freeport.One()
		if err != nil {
			return nil, err
		}
		o.Port = port
	}
	args := []string{"-p", fmt.Sprint(o.Port)}
	if o.Bootstrap != "" {
		args = append(args, "-b", o.Bootstrap)
	}
	if o.Identity {
		args = append(args, "-i")
	}
	if o.Network != 0 {
		args = append(args, "-n", fmt.Sprint(o.Network))
	}
	p, err := start("dhtnode", args...)
	if err != nil {
		return nil, err
	}
	n := &Node{process: p, Port: o.Port}
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	m, err := p.Expect(ctx, 0, `OpenDHT node ([0-9a-f]{40}) running on port`)
	if err == nil && o.Identity {
		var key []string
		if key, err = p.Expect(ctx, 0, `Public key ID ([0-9a-f]{40})`); err == nil {
			n.KeyID = key[1]
		}
	}
	if err == nil {
		_, err = p.Expect(ctx, 0, `'h' or 'help'`)
	}
	if err != nil {
		p.Kill()
		return nil, err
	}
	n.ID = m[1]
	return n, nil
}

// Addr returns where the node is reached.
func (n *Node) Addr() string { return fmt.Sprintf("127.0.0.1:%d", n.Port) }

// Ask gives a command and waits for a line of the answer.
func (n *Node) Ask(ctx context.Context, pattern, format string, args ...any) ([]string, error) {
	mark := n.Mark()
	if err := n.Command(format, args...); err != nil {
		return nil, err
	}
	return n.Expect(ctx, mark, pattern)
}

// WaitConnected asks the node about itself until it knows a good node.
func (n *Node) WaitConnected(ctx context.Context) error {
	for {
		m, err := n.Ask(ctx, `Known nodes: (\d+) good`, "ll")
		if err != nil {
			return err
		}
		if m[1] != "0" {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("dhtnode did not connect: %w", ctx.Err())
		}
	}
}
