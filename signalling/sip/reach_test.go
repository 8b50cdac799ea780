package sip_test

import (
	"net"
	"strings"
	"testing"
	"time"

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
	siptest.Eventually(t, "the caller is in the room", func() bool { return len(b.Participants(t, "demo")) == 1 })
	s.Close()
	siptest.Eventually(t, "the call is over", func() bool { return b.Count(t, "rendezvous_sip_calls") == 0 })
	inside.SetDeadline(time.Now().Add(100 * time.Millisecond))
	if c, err := inside.Accept(); err == nil {
		t.Error("the host has connected to what the Contact named")
		c.Close()
	} else if !strings.Contains(err.Error(), "timeout") {
		t.Fatal(err)
	}
}
