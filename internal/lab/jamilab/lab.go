package jamilab

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed lab.sh
var script []byte

// Bootstrap is the DHT node of every lab, as seen from its namespaces.
const Bootstrap = "10.77.0.2:4222"

// life is when a lab is taken down whatever happens, if nothing else is asked for.
const life = 30 * time.Minute

// Options say what a lab has.
type Options struct {
	// Peers is the number of daemons, named p1, p2 …
	Peers int
	// Bare are those that begin without an account, also if one is kept for them
	// (see Accounts): those that take over another's.
	Bare []int
	// Sound gives each daemon a PulseAudio; without it, it hears silence.
	Sound bool
	// Alone lets no other test with a lab run meanwhile, of whichever package: for those that measure in real time
	// what daemons play, who stutter together when processors are short.
	Alone bool
	// Life is when it is taken down whatever happens; 0: after half an hour.
	Life time.Duration
}

// Lab is a running laboratory.
type Lab struct {
	name   string
	dir    string // everything it writes; removed by Down
	script string
	peers  []*Peer
	guard  *exec.Cmd // takes the lab down if we are killed
}

// Up starts a laboratory. It is taken down by Down, or when this process has
// gone, or at the end of its life.
func Up(ctx context.Context, o Options) (*Lab, error) {
	if os.Getuid() != 0 {
		return nil, errors.New("jamilab: needs root, for network namespaces")
	}
	var b [3]byte
	rand.Read(b[:])
	dir, err := os.MkdirTemp("", "jamilab")
	if err != nil {
		return nil, fmt.Errorf("jamilab: %w", err)
	}
	l := &Lab{name: "t" + hex.EncodeToString(b[:]), dir: dir, script: filepath.Join(dir, "lab.sh")}
	if err := os.WriteFile(l.script, script, 0o700); err != nil {
		return nil, fmt.Errorf("jamilab: %w", err)
	}
	if err := os.Mkdir(l.run(), 0o700); err != nil {
		return nil, fmt.Errorf("jamilab: %w", err)
	}
	guard := l.lab(context.Background(), "guard", strconv.Itoa(os.Getpid()), strconv.Itoa(int(cmp.Or(o.Life, life).Seconds())))
	guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	up := l.lab(ctx, "up", strconv.Itoa(o.Peers))
	var bare []string
	for _, i := range o.Bare {
		bare = append(bare, "p"+strconv.Itoa(i))
	}
	up.Env = append(up.Env, "JAMILAB_BARE="+strings.Join(bare, " "))
	if !o.Sound && os.Getenv("JAMILAB_JAMID") == "" { // newer daemons send nothing, not even silence, without a sound device
		up.Env = append(up.Env, "JAMILAB_PULSE=0")
	}
	if out, err := output(up); err != nil {
		l.Down()
		return nil, fmt.Errorf("jamilab: up: %w\n%s", asDaemon(err), out)
	}
	if err := guard.Start(); err != nil {
		l.Down()
		return nil, fmt.Errorf("jamilab: guard: %w", err)
	}
	l.guard = guard
	if err := l.connect(); err != nil {
		l.Down()
		return nil, err
	}
	return l, nil
}

// output runs a command whose children may keep its output open.
func output(c *exec.Cmd) (string, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	c.WaitDelay = time.Second
	err := c.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return strings.TrimSpace(out.String()), err
}

func (l *Lab) run() string { return filepath.Join(l.dir, "run") }

func (l *Lab) lab(ctx context.Context, args ...string) *exec.Cmd {
	// Not as a program of its own: while another test starts a process, that holds the script open
	// for writing for a moment, and the kernel starts no such file (ETXTBSY).
	c := exec.CommandContext(ctx, "bash", append([]string{l.script}, args...)...)
	c.Env = append(os.Environ(), "JAMILAB_NAME="+l.name, "JAMILAB_RUN="+l.run(), "JAMILAB_ACCOUNTS="+keptAccounts())
	return c
}

// ErrDaemon says that a daemon did not start.
var ErrDaemon = errors.New("the daemon does not start")

// asDaemon tells by the exit code of lab.sh that it was a daemon that failed.
func asDaemon(err error) error {
	const faulty = 3
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == faulty {
		return fmt.Errorf("%w: %w", ErrDaemon, err)
	}
	return err
}

// do runs a command of lab.sh.
func (l *Lab) do(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if out, err := output(l.lab(ctx, args...)); err != nil {
		return fmt.Errorf("jamilab: %s: %w\n%s", strings.Join(args, " "), asDaemon(err), out)
	}
	return nil
}

// connect opens the bus of every peer.
func (l *Lab) connect() error {
	names, err := os.ReadFile(filepath.Join(l.run(), "peers"))
	if err != nil {
		return fmt.Errorf("jamilab: %w", err)
	}
	for n := range strings.FieldsSeq(string(names)) {
		p, err := dial(l, n)
		if err != nil {
			return err
		}
		l.peers = append(l.peers, p)
	}
	return nil
}

// Down stops everything and removes it.
func (l *Lab) Down() error {
	l.disconnect()
	err := l.do("down")
	if l.guard != nil {
		l.guard.Process.Kill()
		l.guard.Wait()
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}

func (l *Lab) disconnect() {
	for _, p := range l.peers {
		p.bus.Close()
	}
	l.peers = nil
}

// Peer is the i-th daemon, from 1.
func (l *Lab) Peer(i int) *Peer { return l.peers[i-1] }

// Peers are all daemons.
func (l *Lab) Peers() []*Peer { return l.peers }

// Command prepares a program to run in a namespace of the lab: "app", "dht",
// "sw" (where the bridge is), "p1" …
func (l *Lab) Command(ctx context.Context, ns, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", l.Namespace(ns), name}, args...)...)
}

// Namespace is the system's name of a namespace of the lab.
func (l *Lab) Namespace(ns string) string { return "jlab" + l.name + "-" + ns }

// Addr is the address of a namespace.
func (l *Lab) Addr(ns string) (netip.Addr, error) {
	b, err := os.ReadFile(filepath.Join(l.run(), "ip", ns))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("jamilab: %w", err)
	}
	return netip.ParseAddr(strings.TrimSpace(string(b)))
}

// Link takes a namespace's cable out, or puts it back.
func (l *Lab) Link(ns string, up bool) error {
	if up {
		return l.do("link", ns, "up")
	}
	return l.do("link", ns, "down")
}

// Narrow has the cable of a namespace carry no more than so many kbit/s of what comes to it, with a queue of 200 ms; 0: whatever comes.
func (l *Lab) Narrow(ctx context.Context, ns string, kbit int) error {
	args := []string{"qdisc", "replace", "dev", "v-" + ns, "root", "tbf", "rate", fmt.Sprint(kbit, "kbit"), "burst", "8kb", "latency", "200ms"}
	if kbit == 0 {
		args = []string{"qdisc", "del", "dev", "v-" + ns, "root"}
	}
	if out, err := l.Command(ctx, "sw", "tc", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("jamilab: narrow the cable of %s: %w: %s", ns, err, out)
	}
	return nil
}

// StopDHT ends the lab's DHT node.
func (l *Lab) StopDHT() error { return l.do("stoprole", "dht") }

// StartDHT starts it again, with an empty store.
func (l *Lab) StartDHT() error { return l.do("startdht") }
