package anyaddr_test

import (
	"net"
	"testing"
	"time"

	"rendezvous/internal/anyaddr"
	"rendezvous/internal/anyaddr/anyaddrtest"
)

// reaches connects, and says something, to a port of an address.
func reaches(t *testing.T, host string, tcp net.Listener, udp net.PacketConn) {
	t.Helper()
	_, port, _ := net.SplitHostPort(tcp.Addr().String())
	c, err := net.Dial("tcp", net.JoinHostPort(host, port))
	if err != nil {
		t.Errorf("TCP on %v: %v", tcp.Addr(), err)
	} else {
		c.Close()
	}
	_, port, _ = net.SplitHostPort(udp.LocalAddr().String())
	u, err := net.Dial("udp", net.JoinHostPort(host, port))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if _, err := u.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	udp.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, _, err := udp.ReadFrom(make([]byte, 10)); err != nil {
		t.Errorf("UDP on %v: %v", udp.LocalAddr(), err)
	}
}

func listen(t *testing.T, address string) (net.Listener, net.PacketConn) {
	t.Helper()
	tcp, err := anyaddr.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	udp, err := anyaddr.ListenPacket(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { udp.Close() })
	return tcp, udp
}

// What listens on all addresses is reached over IPv6 where there is nothing else, whatever package net thinks.
func TestIPv6Only(t *testing.T) {
	if !anyaddrtest.IPv6Only(t) {
		return
	}
	if l, err := net.Listen("tcp4", "127.0.0.1:0"); err == nil {
		t.Fatalf("there is IPv4: %v", l.Addr())
	}
	for _, address := range []string{":0", "[::]:0", "[::1]:0"} {
		tcp, udp := listen(t, address)
		reaches(t, "::1", tcp, udp)
	}
}

// And everywhere else, over IPv4 as before.
func TestIPv4(t *testing.T) {
	for _, address := range []string{":0", "[::]:0", "127.0.0.1:0", "0.0.0.0:0"} {
		tcp, udp := listen(t, address)
		reaches(t, "127.0.0.1", tcp, udp)
	}
	for _, address := range []string{"nonsense", ":nonsense", "127.0.0.1:99999"} {
		if l, err := anyaddr.Listen(t.Context(), address); err == nil {
			t.Errorf("listens on %q", address)
			l.Close()
		}
	}
}
