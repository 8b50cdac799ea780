package e2e

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rendezvous/internal/eventually"
	"rendezvous/internal/lab/router"
	"rendezvous/signalling/jami/connection/portmap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Somebody outside reaches a listener of the host through the port that the router forwards, by
// whichever protocol the router speaks.
func TestGateway(t *testing.T) {
	for name, speaks := range map[string]router.Options{"NAT-PMP": {NATPMP: true}, "UPnP": {UPnP: true}} {
		t.Run(name, func(t *testing.T) { router.Run(t, speaks, isReached) })
	}
}

// isReached runs on the host behind the router.
func isReached(t *testing.T, outside router.Outside) {
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
	m := portmap.New(portmap.Config{Port: l.Addr().(*net.TCPAddr).AddrPort().Port()})
	m.Start(t.Context())
	var mapped []netip.AddrPort
	eventually.True(t, "a port is forwarded", func() bool { mapped = m.Mapped(); return len(mapped) > 0 })
	t.Logf("forwarded from %v", mapped)
	if len(mapped) != 1 || mapped[0].Addr() != router.Address {
		t.Errorf("outside addresses %v", mapped)
	}
	if err := outside.Connect(mapped[0]); err != nil {
		t.Error(err)
	}
	select {
	case from := <-accepted:
		t.Logf("reached by %s", from)
	case <-time.After(10 * time.Second):
		t.Fatal("nobody came through")
	}
	m.Close()
	if err := outside.Connect(mapped[0]); err == nil {
		t.Error("the forward is still there after Close")
	}
}
