package sip_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/eventually"
	"rendezvous/signalling/sip"
	"rendezvous/signalling/sip/siptest"
)

// A caller over TCP whose connection is gone is not looked for at the host that their Contact names: the
// farewell would be a connection of ours to who has nothing to do with the call.
func TestContactElsewhere(t *testing.T) {
	b := siptest.Open(t, func(c *sip.Config) { c.MediaTimeout = 300 * time.Millisecond })
	inside, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)})
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	s := b.Socket(t, "TCP")
	s.Send(s.Request("INVITE", "sip:demo@127.0.0.1", map[string]string{
		"From": "<sip:eve@127.0.0.1>;tag=1", "Contact": "<sip:eve@" + inside.Addr().String() + ";transport=tcp>",
	}, siptest.Offer))
	if got := s.Answer(siptest.Deadline); got != "SIP/2.0 200 OK" {
		t.Fatalf("answered with %q", got)
	}
	s.Confirm()
	eventually.True(t, "the caller is in the room", func() bool { return len(b.Participants(t, "demo")) == 1 })
	s.Close()
	eventually.True(t, "the call is over", func() bool { return b.Count(t, "rendezvous_sip_calls") == 0 })
	inside.SetDeadline(time.Now().Add(100 * time.Millisecond))
	if c, err := inside.Accept(); err == nil {
		t.Error("the host has connected to what the Contact named")
		c.Close()
	} else if !strings.Contains(err.Error(), "timeout") {
		t.Fatal(err)
	}
}

// A connection that is gone before its request is answered is not looked for at the host that the Via names.
func TestViaElsewhere(t *testing.T) {
	b := siptest.Open(t, nil)
	inside, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)})
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	for range 50 { // the door must lose a race with the end of the connection
		s := b.Socket(t, "TCP")
		s.Send(s.Request("OPTIONS", "sip:demo@127.0.0.1", map[string]string{
			"Via": "SIP/2.0/TCP " + inside.Addr().String() + fmt.Sprintf(";branch=z9hG4bK%x", rand.Uint64()),
		}, ""))
		s.Close()
	}
	b.Call(t, "TCP", "demo")
	inside.SetDeadline(time.Now().Add(100 * time.Millisecond))
	if c, err := inside.Accept(); err == nil {
		t.Error("the host has connected to what the Via named")
		c.Close()
	} else if !strings.Contains(err.Error(), "timeout") {
		t.Fatal(err)
	}
}

// dead is a name server that is not there.
type dead struct{}

func (dead) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errors.New("no name server")
}

// A door whose external name cannot be looked up opens all the same, and is told to people by its name.
func TestOpensWithoutDNS(t *testing.T) {
	b := siptest.Open(t, func(c *sip.Config) { c.External, c.Resolver = "sip.example.org", dead{} })
	b.Call(t, "UDP", "demo")
	if got := strings.Join(b.Addresses("demo"), " "); !strings.HasPrefix(got, "sip:demo@sip.example.org:") {
		t.Errorf("the room's addresses are %s", got)
	}
}
