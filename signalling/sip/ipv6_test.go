package sip_test

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"rendezvous/internal/anyaddr/anyaddrtest"
	"rendezvous/internal/eventually"
	"rendezvous/signalling/sip"
	"rendezvous/signalling/sip/siptest"
)

// On a host of IPv6 alone, phones call its address, are told of it, and send and get sound there.
func TestIPv6Only(t *testing.T) {
	if !anyaddrtest.IPv6Only(t) {
		return
	}
	b := siptest.Open(t, func(c *sip.Config) { c.UDP, c.TCP, c.TLS = ":0", ":0", "" })
	for i, transport := range []string{"UDP", "TCP"} {
		sound, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
		if err != nil {
			t.Fatal(err)
		}
		defer sound.Close()
		s := b.SocketTo(t, transport, net.JoinHostPort("::1", fmt.Sprint(b.Addr(transport).Port())))
		offer := fmt.Sprintf("v=0\no=- 1 1 IN IP6 ::1\ns=-\nc=IN IP6 ::1\nt=0 0\nm=audio %d RTP/AVP 0\n", sound.LocalAddr().(*net.UDPAddr).Port)
		s.Send(s.Request("INVITE", "sip:demo@[::1]", headers{"Via": fmt.Sprintf("SIP/2.0/%s [::1];rport;branch=z9hG4bK6%s", transport, transport),
			"Contact": "<sip:six@" + s.LocalAddr().String() + ";transport=" + strings.ToLower(transport) + ">"}, offer))
		if got := s.Answer(siptest.Deadline); got != "SIP/2.0 200 OK" {
			t.Fatalf("the call is answered with %q", got)
		}
		at := regexp.MustCompile(`c=IN IP6 ::1\r\nt=0 0\r\nm=audio (\d+) `).FindStringSubmatch(s.Body())
		if at == nil || !strings.Contains(s.Header("Contact"), "@[::1]:") {
			t.Fatalf("the answer is for %s:\n%s", s.Header("Contact"), s.Body())
		}
		s.Confirm()
		to, err := net.ResolveUDPAddr("udp6", "[::1]:"+at[1])
		if err != nil {
			t.Fatal(err)
		}
		packet := append([]byte{0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 1}, make([]byte, 160)...)
		if _, err := sound.WriteToUDP(packet, to); err != nil {
			t.Fatal(err)
		}
		sound.SetReadDeadline(time.Now().Add(siptest.Deadline))
		if _, from, err := sound.ReadFromUDP(make([]byte, 2000)); err != nil || from.String() != to.String() {
			t.Fatalf("%s: sound from %v: %v", transport, from, err)
		}
		eventually.True(t, "the phone was heard", func() bool { return b.Count(t, "rendezvous_sip_rtp_packets_total", "in") > float64(i) })
		s.Hangup()
	}
	if got := strings.Join(b.Addresses("demo"), " "); !strings.HasPrefix(got, "sip:demo@[::1]:") {
		t.Errorf("the room's addresses are %s", got)
	}
}
