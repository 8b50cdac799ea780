package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/lab/coturn"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/signalling/jami"
	"rendezvous/signalling/jami/connection/icetcp"
)

// relayServer starts coturn beside the lab's DHT node, and returns where it is.
func relayServer(t *testing.T, ctx context.Context, l *jamilab.Lab) netip.AddrPort {
	t.Helper()
	addr, err := l.Addr("dht")
	if err != nil {
		t.Fatal(err)
	}
	at := netip.AddrPortFrom(addr, 3478) // the port that daemons try
	coturn.Start(t, at, func(name string, args ...string) *exec.Cmd { return l.Command(ctx, "dht", name, args...) })
	return at
}

// cutOff lets nothing pass any more between a daemon and the host, in either direction.
func cutOff(t *testing.T, ctx context.Context, l *jamilab.Lab, p *jamilab.Peer) {
	t.Helper()
	host, err := l.Addr("app")
	if err != nil {
		t.Fatal(err)
	}
	cmd := l.Command(ctx, p.Name(), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`table ip firewall {
		chain in { type filter hook input priority 0; ip saddr %[1]s counter drop; }
		chain out { type filter hook output priority 0; ip daddr %[1]s counter drop; }
	}`, host))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
}

// dropped fails the test unless both sides have run into the firewall.
func dropped(t *testing.T, ctx context.Context, l *jamilab.Lab, p *jamilab.Peer) {
	t.Helper()
	out, err := l.Command(ctx, p.Name(), "nft", "list", "table", "ip", "firewall").CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
	if n := strings.Count(string(out), "counter packets"); n != 2 || strings.Contains(string(out), "counter packets 0 ") {
		t.Errorf("the firewall has not stopped anything in each direction:\n%s", out)
	}
}

// A daemon and the host that cannot reach each other, in no direction, meet at a relay of either.
func behindAFirewall(t *testing.T, ctx context.Context, l *jamilab.Lab) {
	server := relayServer(t, ctx, l)
	far, near := l.Peer(1), l.Peer(2)
	cutOff(t, ctx, l, far)
	for i, p := range l.Peers() {
		speak(t, ctx, l, p, []float64{440, 1000}[i])
	}
	meet := func(t *testing.T, changes ...func(*jami.Config)) {
		h := openHost(t, ctx, t.TempDir(), changes...)
		defer h.close()
		for _, p := range []*jamilab.Peer{near, far} {
			_, after := dial(t, ctx, p, h.id, jamilab.Media(nil))
			t.Logf("%s is in the room after %v", p.Name(), after)
		}
		listen(t, ctx, l, far).tone(1000, 440)
		listen(t, ctx, l, near).tone(440, 1000)
		dropped(t, ctx, l, far)
	}
	t.Run("the host has the relay", func(t *testing.T) {
		meet(t, func(c *jami.Config) {
			c.TURN = []icetcp.TURN{{Server: server.String(), Username: coturn.Username, Password: coturn.Password}}
			c.ICE.Servers = []string{"turn:" + coturn.Username + ":" + coturn.Password + "@" + server.String()}
		})
	})
	t.Run("the daemon has the relay", func(t *testing.T) {
		if err := far.Set(ctx, map[string]string{"TURN.enable": "true", "TURN.server": server.Addr().String(), "TURN.username": coturn.Username,
			"TURN.password": coturn.Password, "TURN.realm": coturn.Realm}); err != nil {
			t.Fatal(err)
		}
		for ready := false; !ready; {
			var err error
			if ready, err = far.LogContains("Connection to " + server.Addr().String()); err != nil {
				t.Fatal(err)
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				t.Fatal("the daemon does not try its relay")
			}
		}
		meet(t)
	})
}
