package sip_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/eventually"
	"rendezvous/signalling/sip"
	"rendezvous/signalling/sip/siptest"
)

// A flood from a stranger is dropped, costs no memory, and does not hinder a call.
func TestFlood(t *testing.T) {
	b := siptest.Open(t, func(c *sip.Config) {
		c.Trusted = nil
		c.Limits.InvitePerSecond, c.Limits.InviteBurst = 5, 20
	})
	conn := b.Socket(t, "UDP")
	for i := range 5000 {
		conn.Send(conn.Request("INVITE", fmt.Sprintf("sip:%d@h", i), nil, siptest.Offer))
	}
	eventually.True(t, "the flood was counted", func() bool { return b.Count(t, "rendezvous_sip_dropped_total", "flood") > 1000 })
	if n := b.Count(t, "rendezvous_sip_requests_total", "INVITE"); n > 100 {
		t.Errorf("%v INVITEs of the flood were looked at", n)
	}
	if n := b.Count(t, "rendezvous_sip_calls"); n != 0 {
		t.Errorf("%v calls", n)
	}
}

// Calls that are answered and never confirmed do not take all places.
func TestUnconfirmedCalls(t *testing.T) {
	b := siptest.Open(t, func(c *sip.Config) {
		c.Trusted = nil
		c.Limits.InvitePerSecond, c.Limits.InviteBurst, c.Limits.Pending = 1000, 1000, 3
	})
	answers := make(map[string]int)
	for range 10 {
		r := b.Socket(t, "UDP")
		r.Send(r.Request("INVITE", "sip:demo@h", nil, siptest.Offer))
		got := r.Answer(siptest.Deadline)
		if got == "SIP/2.0 200 OK" {
			defer r.Hangup() // the door need not try in vain at its end
		}
		answers[got]++
	}
	if answers["SIP/2.0 200 OK"] != 3 || answers["SIP/2.0 503 Service Unavailable"] != 7 {
		t.Errorf("answers: %v", answers)
	}
}

// Whoever sends INVITEs from many addresses, and confirms none, takes nobody's place.
func TestUnconfirmedCallsMakeWay(t *testing.T) {
	b := siptest.Open(t, func(c *sip.Config) {
		c.Trusted, c.MaxCalls = nil, 1
		c.Limits.InvitePerSecond, c.Limits.InviteBurst, c.Limits.Pending, c.Limits.AllPending = 1000, 1000, 1000, 3
	})
	for range 10 {
		r := b.Socket(t, "UDP")
		r.Send(r.Request("INVITE", "sip:demo@h", nil, siptest.Offer))
		if got := r.Answer(siptest.Deadline); got != "SIP/2.0 200 OK" {
			t.Fatalf("answered with %q", got)
		}
		go func() { // what had to make way is told so; the last three are hung up, for the door's end to be short
			buf := make([]byte, 4096)
			for {
				n, err := r.Read(buf)
				if err != nil {
					return
				}
				if head := string(buf[:n]); strings.HasPrefix(head, "BYE ") {
					fmt.Fprint(r, siptest.Wire("SIP/2.0 200 OK\n")+head[strings.Index(head, "\r\n")+2:])
				}
			}
		}()
	}
	b.Call(t, "UDP", "demo")
	// One of the last three made way for the call, which has ended.
	eventually.True(t, "the others have made way", func() bool { return b.Count(t, "rendezvous_sip_calls") == 2 })
	b.Call(t, "UDP", "demo")
}

// One source has a bound on its calls, confirmed or not.
func TestCallsOfOneSource(t *testing.T) {
	b := siptest.Open(t, func(c *sip.Config) {
		c.Trusted = nil
		c.Limits.InvitePerSecond, c.Limits.InviteBurst, c.Limits.Calls = 1000, 1000, 2
	})
	for i := range 3 {
		r := b.Socket(t, "UDP")
		r.Send(r.Request("INVITE", "sip:demo@h", nil, siptest.Offer))
		switch got := r.Answer(siptest.Deadline); {
		case i < 2 && got == "SIP/2.0 200 OK":
			r.Confirm()
			defer r.Hangup()
		case i < 2 || got != "SIP/2.0 503 Service Unavailable":
			t.Errorf("call %d is answered with %q", i, got)
		}
	}
}

// sipgo keeps an entry for every source as long as its reader lives: it must be renewed.
func TestManySourcesAreForgotten(t *testing.T) {
	b := siptest.Open(t, nil)
	for i := range sip.MaxUDPSources + 200 {
		r := b.Socket(t, "UDP")
		r.Send(r.Request("OPTIONS", "sip:demo@h", nil, ""))
		wait := siptest.Deadline
		if i == sip.MaxUDPSources {
			wait = 100 * time.Millisecond // the one on which the reader ended is lost
		}
		got := r.Answer(wait)
		r.Close()
		if got != "SIP/2.0 200 OK" && i != sip.MaxUDPSources {
			t.Fatalf("source %d got %q", i, got)
		}
	}
	if n := b.UDPSources(); n > sip.MaxUDPSources {
		t.Errorf("sipgo remembers %d sources", n)
	}
	b.Call(t, "UDP", "demo")
}

func TestConnectionLimit(t *testing.T) {
	b := siptest.Open(t, func(c *sip.Config) { c.Limits.PerSource = 3 })
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range 3 {
		c, err := net.Dial("tcp", b.Addr("TCP").String())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	c, err := net.Dial("tcp", b.Addr("TCP").String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(siptest.Deadline))
	if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a fourth connection was not closed: %v", err)
	}
	for _, c := range open {
		c.Close()
	}
	open = nil
	eventually.True(t, "connections are counted out", func() bool {
		all, sources := b.Connections()
		return all == 0 && sources == 0
	})
	b.Call(t, "TCP", "demo")
}

// Rubbish over TCP ends the connection and nothing else.
func TestRubbishOverTCP(t *testing.T) {
	b := siptest.Open(t, nil)
	for _, text := range []string{
		"GET / HTTP/1.1\r\n\r\n", "\x00\x01\x02\x03", strings.Repeat("A", 200_000),
		"OPTIONS sip:demo@h SIP/2.0\r\n" + strings.Repeat("X: y\r\n", 50_000),
		"OPTIONS sip:demo@h SIP/2.0\r\nContent-Length: 99999999\r\n\r\n", strings.Repeat("\r\n", 100_000),
	} {
		c, err := net.Dial("tcp", b.Addr("TCP").String())
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte(text))
		c.(*net.TCPConn).CloseWrite()
		c.SetReadDeadline(time.Now().Add(siptest.Deadline))
		for buf := make([]byte, 4096); ; {
			if _, err := c.Read(buf); err != nil {
				break
			}
		}
		c.Close()
	}
	b.Call(t, "TCP", "demo")
}
