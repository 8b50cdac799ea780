package e2e

import (
	"context"
	"net/netip"
	"os/exec"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rendezvous/internal/hosttest"
	"rendezvous/internal/lab/coturn"
	"rendezvous/signalling/jami/connection/icetcp"
	"rendezvous/signalling/jami/connection/icetcp/icetcptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = netip.MustParseAddr("127.0.0.1")

// turnServer starts coturn on the loopback interface.
func turnServer(t *testing.T) icetcp.TURN {
	t.Helper()
	at := netip.AddrPortFrom(loopback, uint16(hosttest.FreePorts(t, 1)[0]))
	coturn.Start(t, at, exec.Command)
	return icetcp.TURN{Server: at.String(), Username: coturn.Username, Password: coturn.Password}
}

func listen(t *testing.T) *icetcp.Listener {
	t.Helper()
	l, err := icetcp.Listen("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// Neither side can be reached but at the relay of one of them.
func TestRelay(t *testing.T) {
	server := turnServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	la, lb := listen(t), listen(t)
	g := icetcp.Gatherer{Listener: la, Hosts: []netip.Addr{loopback}, TURN: []icetcp.TURN{server}}
	cands, relay, err := g.Gather(ctx)
	if err != nil || relay == nil {
		t.Fatalf("%v, relay %v", err, relay)
	}
	cands = cands[1:] // without the passive host candidate
	if last := cands[len(cands)-1]; last.Type != icetcp.Relayed || last.TCPType != icetcp.Passive || last.Addr != relay.Addr() {
		t.Fatalf("candidates %v", cands)
	}
	a, err := icetcp.New(icetcp.Config{Listener: la, Candidates: cands, Relay: relay, AllowLoopback: true})
	if err != nil {
		t.Fatal(err)
	}
	active := icetcp.Addresses{Host: []netip.Addr{loopback}, Port: lb.Port()}.Candidates()[1:]
	b, err := icetcp.New(icetcp.Config{Listener: lb, Controlling: true, Candidates: active, AllowLoopback: true})
	if err != nil {
		t.Fatal(err)
	}
	var ca, cb *icetcp.Conn
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
	if got := cb.RemoteAddr().String(); got != relay.Addr().String() {
		t.Errorf("connected to %v, the relay is %v", got, relay.Addr())
	}
	icetcptest.Exchange(t, ca, cb)
	icetcptest.Exchange(t, cb, ca)
}

func TestRelayRefusesWrongPassword(t *testing.T) {
	server := turnServer(t)
	server.Password = "wrong"
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := icetcp.Allocate(ctx, server); err == nil {
		t.Fatal("allocated")
	}
}

// The same server tells us our address over UDP.
func TestSTUN(t *testing.T) {
	server := turnServer(t)
	ln := listen(t)
	start := time.Now()
	var cands []icetcp.Candidate
	// It takes TCP a moment before it takes UDP.
	for len(cands) == 0 && time.Since(start) < 10*time.Second {
		g := icetcp.Gatherer{Listener: ln, Hosts: []netip.Addr{}, STUN: []string{server.Server, "127.0.0.1:9"}}
		var err error
		if cands, _, err = g.Gather(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(cands) != 1 || cands[0].Type != icetcp.ServerReflexive || cands[0].TCPType != icetcp.Active || cands[0].Addr != netip.AddrPortFrom(loopback, 9) {
		t.Errorf("candidates %v", cands)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}
