package e2e

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/eventually"
	"rendezvous/internal/lab/phone"
	"rendezvous/signalling/sip"
	"rendezvous/signalling/sip/siptest"
)

// waiting starts a scenario that waits to be called.
func waiting(t *testing.T, name string, limit time.Duration) *phone.Running {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.LocalAddr().(*net.UDPAddr).Port
	l.Close()
	running, err := phone.Scenario{File: filepath.Join("testdata", "sipp", name+".xml"), Port: port, Limit: limit}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return running
}

func trunk(port int) sip.Upstream {
	return sip.Upstream{
		Name: "test", Registrar: fmt.Sprintf("sip:127.0.0.1:%d", port),
		User: "frontdoor", AuthUser: "room", Password: "open sesame", Room: "demo",
	}
}

// The host registers with credentials, again before the time is up, and withdraws at the end.
func TestRegistration(t *testing.T) {
	t.Parallel()
	registrar := waiting(t, "registrar", 40*time.Second)
	u := trunk(registrar.Port)
	u.Register = true
	b := siptest.Open(t, func(c *sip.Config) { c.Upstreams = []sip.Upstream{u} })
	eventually.True(t, "registered", func() bool { return b.Registered("test") })
	if got := strings.Join(b.Addresses("demo"), " "); !strings.Contains(got, "sip:frontdoor@127.0.0.1") {
		t.Errorf("addresses of demo are %q", got)
	}
	// A call to the registered contact reaches the room.
	play(t, b, "call", "frontdoor", false)
	time.Sleep(4 * time.Second) // the first registration holds 3 s
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := registrar.Wait(); err != nil {
		t.Error(err)
	}
}

// A telephone number is called through the trunk, which asks for credentials.
func TestDialThroughTrunk(t *testing.T) {
	t.Parallel()
	for _, scenario := range []string{"callee", "callee_proxy"} {
		t.Run(scenario, func(t *testing.T) { dialThroughTrunk(t, scenario) })
	}
}

func dialThroughTrunk(t *testing.T, scenario string) {
	callee := waiting(t, scenario, 0)
	u := trunk(callee.Port)
	u.Dial = true
	b := siptest.Open(t, func(c *sip.Config) { c.Upstreams = []sip.Upstream{u} })
	ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
	defer cancel()
	if err := b.Dial(ctx, b.Room(t, "secret"), "+49 30 1234567"); err != nil {
		t.Error(err)
	}
	if got := b.Participants(t, "secret"); len(got) != 1 || got[0] != "+49301234567" {
		t.Errorf("in the room: %v", got)
	}
	if err := b.Close(); err != nil { // hangs up
		t.Error(err)
	}
	if err := callee.Wait(); err != nil {
		t.Error(err)
	}
}

func TestDialBusy(t *testing.T) {
	t.Parallel()
	callee := waiting(t, "callee_busy", 0)
	b := siptest.Open(t, nil)
	err := b.Dial(t.Context(), b.Room(t, "demo"), fmt.Sprintf("sip:bob@127.0.0.1:%d", callee.Port))
	if err == nil || !strings.Contains(err.Error(), "486") {
		t.Errorf("busy callee: %v", err)
	}
	if err := callee.Wait(); err != nil {
		t.Error(err)
	}
}

func TestDialGivenUp(t *testing.T) {
	t.Parallel()
	callee := waiting(t, "callee_rings", 0)
	b := siptest.Open(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := b.Dial(ctx, b.Room(t, "demo"), fmt.Sprintf("sip:bob@127.0.0.1:%d", callee.Port)); err == nil {
		t.Error("no error although nobody answered")
	}
	if err := callee.Wait(); err != nil {
		t.Error(err)
	}
}

// A real telephone is called into the room, over each transport.
func TestDialTelephone(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			b := siptest.Open(t, nil)
			p := newPhone(t, phone.Config{User: "bob", Answer: true, Transport: transport, Codecs: []string{"opus/48000/2"}})
			ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
			defer cancel()
			mark := p.Mark()
			if err := b.Dial(ctx, b.Room(t, "secret"), p.URI("bob")+";transport="+transport); err != nil {
				t.Fatal(err)
			}
			if got := b.Participants(t, "secret"); len(got) != 1 || got[0] != "bob" {
				t.Errorf("in the room: %v", got)
			}
			if err := p.Hangup(); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Wait(ctx, mark, "CALL_CLOSED"); err != nil {
				t.Error(err)
			}
			eventually.True(t, "room empty", func() bool { return len(b.Participants(t, "secret")) == 0 })
		})
	}
}

// Calls over TLS verify who answers, unless told not to.
func TestDialOverTLS(t *testing.T) {
	t.Parallel()
	p := newPhone(t, phone.Config{User: "bob", Answer: true, Transport: "tls"})
	address := strings.Replace(p.URI("bob"), "127.0.0.1", "localhost", 1) + ";transport=tls"
	ctx, cancel := context.WithTimeout(t.Context(), siptest.Deadline)
	defer cancel()
	strict := siptest.Open(t, nil)
	if err := strict.Dial(ctx, strict.Room(t, "demo"), address); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("self-signed certificate: %v", err)
	}
	u := trunk(1)
	u.Registrar, u.InsecureTLS, u.Dial = strings.Replace(address, "bob@", "", 1), true, true
	trusting := siptest.Open(t, func(c *sip.Config) { c.Upstreams = []sip.Upstream{u} })
	if err := trusting.Dial(ctx, trusting.Room(t, "demo"), address); err != nil {
		t.Error(err)
	}
}
