package portmap

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const envInside = "PORTMAP_TEST_INSIDE"

// A home network of namespaces: a host, miniupnpd on the gateway, and somebody
// outside, who reaches a listener of the host through the forwarded port.
func TestGateway(t *testing.T) {
	if os.Getenv(envInside) != "" {
		testInside(t)
		return
	}
	if os.Getuid() != 0 {
		t.Fatal("needs root, for network namespaces")
	}
	if _, err := exec.LookPath("miniupnpd"); err != nil {
		t.Fatal("needs the Debian packages miniupnpd, miniupnpd-nftables, nftables:", err)
	}
	tag := "pm" + strconv.Itoa(os.Getpid())
	host, gw, out := tag+"h", tag+"g", tag+"o"
	run := func(args ...string) {
		t.Helper()
		if b, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, b)
		}
	}
	for _, ns := range []string{host, gw, out} {
		run("ip", "netns", "add", ns)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
		run("ip", "-n", ns, "link", "set", "lo", "up")
	}
	cable := func(a, b string) {
		run("ip", "-n", gw, "link", "add", a, "type", "veth", "peer", "name", "eth0", "netns", b)
		run("ip", "-n", gw, "link", "set", a, "up")
		run("ip", "-n", b, "link", "set", "eth0", "up")
	}
	cable("lan0", host)
	cable("wan0", out)
	run("ip", "-n", gw, "addr", "add", "192.168.77.1/24", "dev", "lan0")
	run("ip", "-n", host, "addr", "add", "192.168.77.2/24", "dev", "eth0")
	run("ip", "-n", host, "route", "add", "default", "via", "192.168.77.1")
	run("ip", "-n", gw, "addr", "add", "203.0.114.1/24", "dev", "wan0")
	run("ip", "-n", out, "addr", "add", "203.0.114.2/24", "dev", "eth0")
	run("ip", "netns", "exec", gw, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	dir := t.TempDir()
	rules := filepath.Join(dir, "nft")
	write(t, rules, `table inet filter {
	chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; iifname "lan0" accept; jump miniupnpd; }
	chain miniupnpd { }
	chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
	chain prerouting_miniupnpd { }
	chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; oifname "wan0" masquerade; }
	chain postrouting_miniupnpd { }
}
`)
	run("ip", "netns", "exec", gw, "nft", "-f", rules)
	conf := filepath.Join(dir, "conf")
	write(t, conf, `ext_ifname=wan0
listening_ip=lan0
enable_natpmp=yes
enable_upnp=yes
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
`)
	var log bytes.Buffer
	d := exec.Command("ip", "netns", "exec", gw, "miniupnpd", "-d", "-f", conf, "-P", filepath.Join(dir, "pid"))
	d.Stdout, d.Stderr = &log, &log
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		d.Process.Kill()
		d.Wait()
	}
	t.Cleanup(stop)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "ip", "netns", "exec", host, self, "-test.run=^TestGateway$", "-test.v", "-test.timeout=2m")
	c.Env = append(os.Environ(), envInside+"="+out)
	b, err := c.CombinedOutput()
	t.Logf("inside:\n%s", b)
	if err != nil {
		stop()
		t.Fatalf("inside: %v\nminiupnpd:\n%s", err, log.String())
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// testInside runs on the host behind the gateway.
func testInside(t *testing.T) {
	for _, w := range []gateway{&natpmp{}, &upnp{}} {
		t.Run(w.name(), func(t *testing.T) {
			l, err := net.Listen("tcp4", ":0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			accepted := make(chan string, 1)
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				accepted <- c.RemoteAddr().String()
				c.Close()
			}()
			m := New(Config{Port: l.Addr().(*net.TCPAddr).AddrPort().Port()})
			m.ways = []gateway{w}
			m.Start(t.Context())
			var mapped []netip.AddrPort
			for end := time.Now().Add(30 * time.Second); len(mapped) == 0; time.Sleep(20 * time.Millisecond) {
				if mapped = m.Mapped(); time.Now().After(end) {
					_, err := w.forward(t.Context(), m.cfg.Port)
					t.Fatalf("nothing forwarded: %v", err)
				}
			}
			t.Logf("forwarded from %v", mapped)
			if mapped[0].Addr().String() != "203.0.114.1" {
				t.Errorf("outside address %v", mapped[0])
			}
			if err := connectFromOutside(mapped[0]); err != nil {
				t.Error(err)
			}
			select {
			case from := <-accepted:
				t.Logf("reached by %s", from)
			case <-time.After(10 * time.Second):
				t.Fatal("nobody came through")
			}
			m.Close()
			if err := connectFromOutside(mapped[0]); err == nil {
				t.Error("the forward is still there after Close")
			}
		})
	}
}

func connectFromOutside(to netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	script := fmt.Sprintf("exec 3<>/dev/tcp/%s/%d", to.Addr(), to.Port())
	b, err := exec.CommandContext(ctx, "ip", "netns", "exec", os.Getenv(envInside), "bash", "-c", script).CombinedOutput()
	if err != nil {
		return fmt.Errorf("from outside: %w: %s", err, b)
	}
	return nil
}

func TestAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		b  []byte
		ok bool
	}{
		"mapping":     {[]byte{0, 0x82, 0, 0, 0, 0, 0, 1, 0x13, 0x88, 0x13, 0x89, 0, 0, 14, 16}, true},
		"refused":     {[]byte{0, 0x82, 0, 2, 0, 0, 0, 1}, false},
		"other op":    {[]byte{0, 0x81, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, false},
		"too short":   {[]byte{0, 0x82, 0, 0, 0, 0}, false},
		"empty":       {nil, false},
		"new version": {[]byte{2, 0x82, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, false},
	} {
		if _, err := checkAnswer(tc.b, opMapTCP, 16); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := mapRequest(5000, lease); !bytes.Equal(got, []byte{0, 2, 0, 0, 0x13, 0x88, 0x13, 0x88, 0, 0, 0x0e, 0x10}) {
		t.Errorf("% x", got)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte{0, 0x82, 0, 0, 0, 0, 0, 1, 0x13, 0x88, 0x13, 0x89, 0, 0, 14, 16})
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := checkAnswer(b, opMapTCP, 16); err == nil && len(a) < 16 {
			t.Fatal("short answer accepted")
		}
	})
}
