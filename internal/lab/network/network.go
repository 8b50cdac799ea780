package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Host is the host's address, in the namespace where it belongs; each client reaches it by its path.
var Host = netip.MustParseAddr("10.99.0.1")

// Net is the host's namespace, the clients', and a path between it and each of them.
type Net struct {
	prefix string
	links  []*Link
	relay  *relay // nil until all devices are there
}

// Link is a client's namespace and its path to the host and back.
type Link struct {
	Name     string
	Up, Down *Direction // to the host, and from it
	net      *Net
	number   int
}

// created tells the networks of one process apart.
var created atomic.Int64

// family begins the names of all namespaces of this package.
const family = "netbox"

// New makes a network with these clients, whose names are of letters and digits, ten at most. Its paths are perfect
// until they are set. Close takes it down.
func New(seed uint64, clients ...string) (*Net, error) {
	if os.Getuid() != 0 {
		return nil, errors.New("network: needs root, for network namespaces")
	}
	if err := sweep(); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	n := &Net{prefix: fmt.Sprintf("%s%d-%d-", family, os.Getpid(), created.Add(1))}
	if err := n.build(seed, clients); err != nil {
		return nil, errors.Join(fmt.Errorf("network: %w", err), n.Close())
	}
	return n, nil
}

func (n *Net) build(seed uint64, clients []string) error {
	host := n.HostNamespace()
	if err := addNamespace(host); err != nil {
		return err
	}
	if err := ip("-n", host, "addr", "add", Host.String()+"/32", "dev", "lo"); err != nil {
		return err
	}
	relay, err := newRelay()
	if err != nil {
		return err
	}
	n.relay = relay
	for i, name := range clients {
		l := &Link{Name: name, net: n, number: i + 1}
		n.links = append(n.links, l)
		if err := l.build(seed); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	relay.start()
	return nil
}

// build makes the client's namespace and the two devices.
func (l *Link) build(seed uint64) error {
	host, own := l.net.HostNamespace(), l.Namespace()
	if err := addNamespace(own); err != nil {
		return err
	}
	inner, err := openDevice(own, "n0", unix.IFF_TUN)
	if err != nil {
		return err
	}
	outer, err := openDevice(host, l.Name, unix.IFF_TUN)
	if err != nil {
		syscall.Close(inner)
		return err
	}
	l.Up, l.Down = l.net.relay.add(inner, outer, 0, seed+uint64(2*l.number))
	if err := l.SetAddr(l.Addr()); err != nil {
		return err
	}
	if err := ip("-n", host, "addr", "add", l.gateway()+"/24", "dev", l.Name); err != nil {
		return err
	}
	return ip("-n", host, "link", "set", l.Name, "up", "txqueuelen", "2000")
}

// HostNamespace is where the host belongs.
func (n *Net) HostNamespace() string { return n.prefix + "host" }

// Link is the client of this name; it panics if there is none, as what is meant then is another table.
func (n *Net) Link(name string) *Link {
	for _, l := range n.links {
		if l.Name == name {
			return l
		}
	}
	panic("network: there is no client " + name)
}

// Links are all clients, in the order in which they were named.
func (n *Net) Links() []*Link { return n.links }

// Late is by how much the packets that were delivered came later than they should have: on a machine that does much else, it is the
// box itself that has jitter.
func (n *Net) Late() (p50, p99 time.Duration) { return n.relay.lateness() }

// Namespace is where the client belongs.
func (l *Link) Namespace() string { return l.net.prefix + l.Name }

// Addr is the address that the client begins with.
func (l *Link) Addr() netip.Addr { return netip.AddrFrom4([4]byte{10, 99, byte(l.number), 2}) }

// gateway is the host's end of the client's path.
func (l *Link) gateway() string { return fmt.Sprintf("10.99.%d.1", l.number) }

// SetAddr gives the client this address instead of the one it has, as another network does: any of 10.99.N.0/24 but the
// first one, where N is that of Addr. Without one (the zero Addr), it is on no network at all.
func (l *Link) SetAddr(a netip.Addr) error {
	ns := l.Namespace()
	if err := ip("-n", ns, "addr", "flush", "dev", "n0"); err != nil {
		return err
	}
	if !a.IsValid() {
		return nil
	}
	return errors.Join(
		ip("-n", ns, "addr", "add", a.String()+"/24", "dev", "n0"),
		ip("-n", ns, "link", "set", "n0", "up", "txqueuelen", "2000"),
		ip("-n", ns, "route", "replace", "default", "via", l.gateway()))
}

// Command prepares a program to run in a namespace.
func Command(ctx context.Context, namespace, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", namespace, name}, args...)...)
}

// Close ends the paths and removes the namespaces. Programs that still run in them are cut off. Twice is the same as once.
func (n *Net) Close() error {
	var errs []error
	if n.relay != nil {
		errs = append(errs, n.relay.close())
		n.relay = nil
	}
	have, err := namespaces()
	errs = append(errs, err)
	for _, ns := range have {
		if strings.HasPrefix(ns, n.prefix) {
			errs = append(errs, ip("netns", "del", ns))
		}
	}
	return errors.Join(errs...)
}

// sweep removes the namespaces of processes that have gone.
func sweep() error {
	have, err := namespaces()
	for _, ns := range have {
		rest, ours := strings.CutPrefix(ns, family)
		number, _, _ := strings.Cut(rest, "-")
		pid, e := strconv.Atoi(number)
		if !ours || e != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		_ = ip("netns", "del", ns) // another process may be sweeping, too
	}
	return err
}

func namespaces() (names []string, err error) {
	out, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		return nil, fmt.Errorf("list the network namespaces: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 0 {
			names = append(names, f[0])
		}
	}
	return names, nil
}

// addNamespace makes one with a loopback of IPv4 alone.
func addNamespace(name string) error {
	if err := ip("netns", "add", name); err != nil {
		return err
	}
	for _, i := range []string{"all", "default"} {
		out, err := exec.Command("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf."+i+".disable_ipv6=1").CombinedOutput()
		if err != nil {
			return fmt.Errorf("switch IPv6 off: %w: %s", err, out)
		}
	}
	return ip("-n", name, "link", "set", "lo", "up")
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
