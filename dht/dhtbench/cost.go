package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"rendezvous/dht"
	"rendezvous/internal/lab/opendht"
)

// served is a node of ours in a process of its own, whose memory and CPU time are its own.
type served struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	addr  string
	out   *bufio.Reader
}

// noBootstrap stands for joining nobody.
const noBootstrap = "none"

func startServed(bootstrap string) (*served, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-serve", bootstrap)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &served{cmd: cmd, stdin: stdin, out: bufio.NewReader(stdout)}
	line, err := s.out.ReadString('\n')
	if err != nil {
		s.kill()
		return nil, fmt.Errorf("node in another process: %w", err)
	}
	s.addr = strings.TrimSpace(line)
	return s, nil
}

func (s *served) pid() int { return s.cmd.Process.Pid }

func (s *served) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// values asks the process how many values it holds.
func (s *served) values() (int, error) {
	if _, err := fmt.Fprintln(s.stdin); err != nil {
		return 0, err
	}
	line, err := s.out.ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(line))
}

// runServed is that process: it prints its address, and for each line it reads how many values it holds.
func runServed(ctx context.Context, bootstrap string) error {
	if bootstrap == noBootstrap {
		bootstrap = ""
	}
	n, err := startOurs(ctx, "127.0.0.1:0", bootstrap)
	if err != nil {
		return err
	}
	defer n.Close()
	fmt.Println(n.Addrs()[0])
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		s, err := n.Stats(ctx)
		if err != nil {
			return err
		}
		fmt.Println(s.Values)
	}
	return lines.Err()
}

// idleCPU returns the CPU time two processes use while nothing is asked of them.
func (p plan) idleCPU(ctx context.Context, a, b int) (time.Duration, time.Duration, error) {
	time.Sleep(10 * time.Second) // for the newest to settle
	var before, after [2]time.Duration
	for i, pid := range []int{a, b} {
		var err error
		if before[i], err = cpuTime(pid); err != nil {
			return 0, 0, err
		}
	}
	select {
	case <-time.After(p.idle):
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	for i, pid := range []int{a, b} {
		var err error
		if after[i], err = cpuTime(pid); err != nil {
			return 0, 0, err
		}
	}
	return after[0] - before[0], after[1] - before[1], nil
}

// cpuTime reads /proc/PID/schedstat: nanoseconds on a CPU, of all threads.
func cpuTime(pid int) (time.Duration, error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, task := range tasks {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, task.Name()))
		if err != nil {
			continue // the thread ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// perMinute is in milliseconds.
func perMinute(d, over time.Duration) float64 { return d.Seconds() * 1000 * 60 / over.Seconds() }

// footprint is what stored values cost, in bytes of resident memory.
type footprint struct {
	ourEmpty, ourFull, theirEmpty, theirFull int
	ourValues, theirValues                   int
}

// memory fills a node of ours and a dhtnode with the same values at the same time: in a network of the two and a
// publisher everything is stored at both.
func (p plan) memory(ctx context.Context) (footprint, error) {
	var f footprint
	theirs, err := opendht.StartNode(ctx, opendht.Options{})
	if err != nil {
		return f, err
	}
	defer theirs.Kill()
	ours, err := startServed(theirs.Addr())
	if err != nil {
		return f, err
	}
	defer ours.kill()
	publisher, err := startOurs(ctx, "127.0.0.1:0", theirs.Addr())
	if err != nil {
		return f, err
	}
	defer publisher.Close()
	time.Sleep(3 * time.Second) // for the three to know each other
	if f.ourEmpty, err = resident(ours.pid()); err != nil {
		return f, err
	}
	if f.theirEmpty, err = resident(theirs.Pid()); err != nil {
		return f, err
	}
	if err := p.fill(ctx, publisher); err != nil {
		return f, err
	}
	time.Sleep(3 * time.Second)
	if f.ourFull, err = resident(ours.pid()); err != nil {
		return f, err
	}
	if f.theirFull, err = resident(theirs.Pid()); err != nil {
		return f, err
	}
	if f.ourValues, err = ours.values(); err != nil {
		return f, err
	}
	m, err := theirs.Ask(ctx, `Storage has (\d+) values`, "ll")
	if err != nil {
		return f, err
	}
	f.theirValues, err = strconv.Atoi(m[1])
	return f, err
}

// fill puts the values, 500 bytes each, at a rate that dhtnode takes from one address.
func (p plan) fill(ctx context.Context, publisher *dht.Node) error {
	data := make([]byte, 500)
	tick := time.NewTicker(time.Second / 350)
	defer tick.Stop()
	errs := make(chan error, 1)
	var wg sync.WaitGroup
	for i := range p.values {
		<-tick.C
		wg.Go(func() {
			if err := publisher.Put(ctx, dht.KeyOfText(fmt.Sprint("memory", i)), &dht.Value{Data: data}); err != nil {
				select {
				case errs <- err:
				default:
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return fmt.Errorf("fill: %w", err)
	default:
		return nil
	}
}

// resident reads VmRSS.
func resident(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("no VmRSS of process %d", pid)
}

func mb(n int) float64 { return float64(n) / (1 << 20) }
