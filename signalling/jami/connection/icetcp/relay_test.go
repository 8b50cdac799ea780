package icetcp

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// turnServer starts coturn on the loopback interface.
func turnServer(t *testing.T) TURN {
	t.Helper()
	bin, err := exec.LookPath("turnserver")
	if err != nil {
		t.Fatal("needs the Debian package coturn:", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	dir := t.TempDir()
	conf := filepath.Join(dir, "turnserver.conf")
	if err := os.WriteFile(conf, []byte("listening-ip=127.0.0.1\nrelay-ip=127.0.0.1\nlistening-port="+port+
		"\nlt-cred-mech\nuser=ring:secret\nrealm=test\nallow-loopback-peers\nno-tls\nno-dtls\nno-cli\nlog-file=stdout\n"+
		"cli-password=x\nuserdb="+filepath.Join(dir, "db")+"\npidfile="+filepath.Join(dir, "pid")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(bin, "-c", conf)
	c.Stdout, _ = os.Create(filepath.Join(dir, "log"))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("turnserver:\n%s", log)
		}
	})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
			return TURN{Server: "127.0.0.1:" + port, Username: "ring", Password: "secret"}
		}
		if time.Now().After(end) {
			t.Fatal("turnserver does not start")
		}
	}
}

// Neither side can be reached but at the relay of one of them.
func TestRelay(t *testing.T) {
	server := turnServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	la, lb := listen(t, nil), listen(t, nil)
	g := Gatherer{Listener: la, Hosts: []netip.Addr{loopback}, TURN: []TURN{server}}
	cands, relay, err := g.Gather(ctx)
	if err != nil || relay == nil {
		t.Fatalf("%v, relay %v", err, relay)
	}
	cands = cands[1:] // without the passive host candidate
	if last := cands[len(cands)-1]; last.Type != Relayed || last.TCPType != Passive || last.Addr != relay.Addr() {
		t.Fatalf("candidates %v", cands)
	}
	a, err := New(Config{Listener: la, Candidates: cands, Relay: relay, AllowLoopback: true})
	if err != nil {
		t.Fatal(err)
	}
	b := side{controlling: true, onlyActive: true, l: lb}.agent(t)
	var ca, cb *Conn
	var ea, eb error
	var wg sync.WaitGroup
	wg.Go(func() { ca, ea = a.Connect(ctx, b.Local()) })
	wg.Go(func() { cb, eb = b.Connect(ctx, a.Local()) })
	wg.Wait()
	if ea != nil || eb != nil {
		t.Fatalf("%v, %v", ea, eb)
	}
	defer ca.Close()
	defer cb.Close()
	if got := addrPort(cb.RemoteAddr()); got != relay.Addr() {
		t.Errorf("connected to %v, the relay is %v", got, relay.Addr())
	}
	exchange(t, ca, cb)
	exchange(t, cb, ca)
}

func TestRelayRefusesWrongPassword(t *testing.T) {
	server := turnServer(t)
	server.Password = "wrong"
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := Allocate(ctx, server); err == nil {
		t.Fatal("allocated")
	}
}

// The same server tells us our address over UDP.
func TestSTUN(t *testing.T) {
	server := turnServer(t)
	ln := listen(t, nil)
	start := time.Now()
	var cands []Candidate
	// It takes TCP a moment before it takes UDP.
	for len(cands) == 0 && time.Since(start) < 10*time.Second {
		g := Gatherer{Listener: ln, Hosts: []netip.Addr{}, STUN: []string{server.Server, "127.0.0.1:9"}}
		var err error
		if cands, _, err = g.Gather(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(cands) != 1 || cands[0].Type != ServerReflexive || cands[0].TCPType != Active || cands[0].Addr != netip.AddrPortFrom(loopback, discardPort) {
		t.Errorf("candidates %v", cands)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}
