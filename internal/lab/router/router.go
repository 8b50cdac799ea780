// Package router is a home network of namespaces for tests: a host, where the program under test
// belongs, the router it has its way out by, which runs miniupnpd, and somebody outside. It needs
// root, and the Debian packages miniupnpd, miniupnpd-nftables, nftables and iproute2.
package router

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
	"testing"
	"time"
)

// Address is the router's on the outside.
var Address = netip.MustParseAddr("203.0.114.1")

// envOutside tells a test that runs on the host which namespace is outside.
const envOutside = "ROUTER_TEST_OUTSIDE"

// Options say what the router speaks with its host: one of them at least.
type Options struct {
	NATPMP, UPnP bool
}

// Outside is somebody on the other side of the router: their namespace.
type Outside string

// Connect has them open a TCP connection and close it again, within five seconds.
func (o Outside) Connect(to netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	script := fmt.Sprintf("exec 3<>/dev/tcp/%s/%d", to.Addr(), to.Port())
	b, err := exec.CommandContext(ctx, "ip", "netns", "exec", string(o), "bash", "-c", script).CombinedOutput()
	if err != nil {
		return fmt.Errorf("from outside: %w: %s", err, b)
	}
	return nil
}

// Run makes the network and runs body on its host: the test binary starts itself there, for this
// one test. The network is gone when the test ends. Call it as the whole of a test.
func Run(t *testing.T, o Options, body func(t *testing.T, outside Outside)) {
	t.Helper()
	if outside := os.Getenv(envOutside); outside != "" {
		body(t, Outside(outside))
		return
	}
	if os.Getuid() != 0 {
		t.Fatal("needs root, for network namespaces")
	}
	n := build(t)
	said := n.forward(t, o)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	this := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	c := exec.CommandContext(t.Context(), "ip", "netns", "exec", n.host, self, "-test.run="+this, "-test.v", "-test.timeout=2m")
	c.Env = append(os.Environ(), envOutside+"="+n.outside)
	b, err := c.CombinedOutput()
	t.Logf("on the host:\n%s", b)
	if err != nil {
		t.Fatalf("on the host: %v\nminiupnpd:\n%s", err, said())
	}
}

// network is its namespaces.
type network struct {
	host, router, outside string
}

func run(t *testing.T, args ...string) {
	t.Helper()
	if b, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", args, err, b)
	}
}

// build makes the namespaces, with cables between them, until the test ends.
func build(t *testing.T) network {
	t.Helper()
	tag := "pm" + strconv.Itoa(os.Getpid())
	n := network{tag + "h", tag + "g", tag + "o"}
	for _, ns := range []string{n.host, n.router, n.outside} {
		run(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
		run(t, "ip", "-n", ns, "link", "set", "lo", "up")
	}
	for near, far := range map[string]string{"lan0": n.host, "wan0": n.outside} {
		run(t, "ip", "-n", n.router, "link", "add", near, "type", "veth", "peer", "name", "eth0", "netns", far)
		run(t, "ip", "-n", n.router, "link", "set", near, "up")
		run(t, "ip", "-n", far, "link", "set", "eth0", "up")
	}
	run(t, "ip", "-n", n.router, "addr", "add", "192.168.77.1/24", "dev", "lan0")
	run(t, "ip", "-n", n.host, "addr", "add", "192.168.77.2/24", "dev", "eth0")
	run(t, "ip", "-n", n.host, "route", "add", "default", "via", "192.168.77.1")
	run(t, "ip", "-n", n.router, "addr", "add", Address.String()+"/24", "dev", "wan0")
	run(t, "ip", "-n", n.outside, "addr", "add", "203.0.114.2/24", "dev", "eth0")
	run(t, "ip", "netns", "exec", n.router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	return n
}

const rules = `table inet filter {
	chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; iifname "lan0" accept; jump miniupnpd; }
	chain miniupnpd { }
	chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
	chain prerouting_miniupnpd { }
	chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; oifname "wan0" masquerade; }
	chain postrouting_miniupnpd { }
}
`

const settings = `ext_ifname=wan0
listening_ip=lan0
enable_natpmp=%s
enable_upnp=%s
secure_mode=yes
min_lifetime=120
max_lifetime=86400
uuid=00000000-0000-0000-0000-000000000001
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
allow 1024-65535 192.168.77.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
`

// forward starts miniupnpd on the router until the test ends; said stops it, and is what it said.
func (n network) forward(t *testing.T, o Options) (said func() string) {
	t.Helper()
	if _, err := exec.LookPath("miniupnpd"); err != nil {
		t.Fatal("needs the Debian packages miniupnpd, miniupnpd-nftables, nftables:", err)
	}
	dir := t.TempDir()
	nft, conf := filepath.Join(dir, "nft"), filepath.Join(dir, "conf")
	yes := map[bool]string{true: "yes", false: "no"}
	for file, text := range map[string]string{nft: rules, conf: fmt.Sprintf(settings, yes[o.NATPMP], yes[o.UPnP])} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "ip", "netns", "exec", n.router, "nft", "-f", nft)
	var log bytes.Buffer
	d := exec.Command("ip", "netns", "exec", n.router, "miniupnpd", "-d", "-f", conf, "-P", filepath.Join(dir, "pid"))
	d.Stdout, d.Stderr = &log, &log
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		d.Process.Kill()
		_ = d.Wait() // it was killed
	}
	t.Cleanup(stop)
	for port, wanted := range map[string]bool{":5351": o.NATPMP, ":1900": o.UPnP} {
		for end := time.Now().Add(10 * time.Second); wanted; time.Sleep(10 * time.Millisecond) {
			out, err := exec.Command("ip", "netns", "exec", n.router, "ss", "-Hlun").Output()
			if err == nil && strings.Contains(string(out), port+" ") {
				break
			}
			if time.Now().After(end) {
				stop()
				t.Fatalf("miniupnpd does not listen at %s: %v\n%s", port, err, log.String())
			}
		}
	}
	return func() string {
		stop()
		return log.String()
	}
}
