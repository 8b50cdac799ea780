package rtc

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"github.com/pion/stun"
	"github.com/stretchr/testify/require"

	"rendezvous/internal/eventually"
	"rendezvous/signalling/stunguard"
)

func newTestMux(t *testing.T) *mux {
	t.Helper()
	m, err := listenUDP(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, true, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// check is a binding request for a user fragment.
func check(t testing.TB, ufrag string) []byte {
	t.Helper()
	m, err := stun.Build(stun.BindingRequest, stun.TransactionID, stun.NewUsername(ufrag+":theirs"), stun.Fingerprint)
	require.NoError(t, err)
	return m.Raw
}

// Datagrams go to whom a check from their address named, or who has written there; of others nothing is handed out.
func TestMux(t *testing.T) {
	m := newTestMux(t)
	view := m.of(netip.Addr{})
	local := view.GetListenAddresses()[0]
	join := func(ufrag string) net.PacketConn {
		t.Helper()
		c, err := view.GetConn(ufrag, local)
		require.NoError(t, err)
		return c
	}
	a, b := join("aaaa"), join("bbbb")
	require.Same(t, a, join("aaaa"))
	_, err := view.GetConn("aaaa", &net.UDPAddr{IP: net.IPv4(192, 0, 2, 99), Port: 1})
	require.Error(t, err)
	require.Equal(t, local, a.LocalAddr())

	peer, err := net.DialUDP("udp4", nil, local.(*net.UDPAddr))
	require.NoError(t, err)
	defer peer.Close()
	say := func(p []byte) {
		t.Helper()
		_, err := peer.Write(p)
		require.NoError(t, err)
	}
	buf := make([]byte, mostDatagram)
	hears := func(c net.PacketConn, want []byte) net.Addr {
		t.Helper()
		n, from, err := c.ReadFrom(buf)
		require.NoError(t, err)
		require.Equal(t, want, buf[:n])
		require.Equal(t, peer.LocalAddr().String(), from.String())
		return from
	}
	say([]byte("nobody's"))
	say(check(t, "cccc"))
	say(append(check(t, "bbbb"), 0)) // not well-formed
	first := check(t, "bbbb")
	say(first)
	from := hears(b, first)
	_, err = b.WriteTo([]byte("answer"), from)
	require.NoError(t, err)
	n, err := peer.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "answer", string(buf[:n]))
	say([]byte("media"))
	hears(b, []byte("media"))

	// Who is told of somebody else's address, and writes there, hears nothing from it.
	write := func(c net.PacketConn) {
		t.Helper()
		_, err := c.WriteTo([]byte("mine"), from)
		require.NoError(t, err)
		_, err = peer.Read(buf)
		require.NoError(t, err)
	}
	write(a)
	say([]byte("still theirs"))
	hears(b, []byte("still theirs"))
	// Who is named from there, as after the peer has made another connection from the same port, does.
	second := check(t, "aaaa")
	say(second)
	hears(a, second)
	write(a)
	say([]byte("more"))
	hears(a, []byte("more"))
	_, err = a.WriteTo(nil, &net.TCPAddr{})
	require.Error(t, err)

	view.RemoveConnByUfrag("aaaa")
	say([]byte("for nobody again"))
	say(first)
	hears(b, first)
	require.NoError(t, b.Close())
	require.NoError(t, b.Close())
	_, _, err = b.ReadFrom(buf)
	require.ErrorIs(t, err, io.EOF)
	_, err = b.WriteTo(nil, from)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.Empty(t, m.sockets[0].peers)
	require.Empty(t, m.sockets[0].remotes)

	c := join("dddd")
	require.NoError(t, m.Close())
	_, _, err = c.ReadFrom(buf)
	require.ErrorIs(t, err, io.EOF)
	_, err = view.GetConn("eeee", local)
	require.ErrorIs(t, err, net.ErrClosed)
}

// Of a peer that does not read only the newest is kept.
func TestMuxDropsTheOldest(t *testing.T) {
	m := newTestMux(t)
	conn, err := m.sockets[0].join("aaaa")
	require.NoError(t, err)
	number := func(i int) []byte { return []byte{byte(i >> 8), byte(i)} }
	const all = 3*mostWaiting + 7
	for i := range all {
		conn.put(number(i), nil)
	}
	require.LessOrEqual(t, len(conn.waiting), 2*mostWaiting)
	buf := make([]byte, 10)
	for i := all - mostWaiting; i < all; i++ {
		n, _, err := conn.ReadFrom(buf)
		require.NoError(t, err)
		require.Equal(t, number(i), buf[:n])
	}
	require.Empty(t, conn.waiting)
}

// Who is elsewhere is not offered our loopback, unless there is nothing else.
func TestMuxOffersLoopbackToWhomItServes(t *testing.T) {
	loop, out := &socket{addr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}}, &socket{addr: &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}}
	both, alone := &mux{sockets: []*socket{loop, out}}, &mux{sockets: []*socket{loop}}
	require.Equal(t, []net.Addr{loop.addr, out.addr}, both.of(netip.Addr{}).GetListenAddresses())
	require.Equal(t, []net.Addr{loop.addr, out.addr}, both.of(netip.MustParseAddr("::ffff:127.0.0.2")).GetListenAddresses())
	require.Equal(t, []net.Addr{out.addr}, both.of(netip.MustParseAddr("198.51.100.7")).GetListenAddresses())
	require.Equal(t, []net.Addr{loop.addr}, alone.of(netip.MustParseAddr("198.51.100.7")).GetListenAddresses())
}

// Nothing is allocated for a datagram either way.
func TestMuxDoesNotAllocate(t *testing.T) {
	m := newTestMux(t)
	conn, err := m.sockets[0].join("aaaa")
	require.NoError(t, err)
	peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer peer.Close()
	to, at := peer.LocalAddr(), m.sockets[0].addr.AddrPort()
	out, in, buf := make([]byte, 120), make([]byte, 1500), make([]byte, 1500)
	both := func() {
		if _, err := conn.WriteTo(out, to); err != nil {
			t.Fatal(err)
		}
		if _, _, err := peer.ReadFromUDPAddrPort(in); err != nil {
			t.Fatal(err)
		}
		if _, err := peer.WriteToUDPAddrPort(out, at); err != nil {
			t.Fatal(err)
		}
		if _, _, err := conn.ReadFrom(buf); err != nil {
			t.Fatal(err)
		}
	}
	// A collection empties the pool of buffers now and then.
	eventually.True(t, "nothing is allocated", func() bool { return testing.AllocsPerRun(100, both) == 0 })
}

func FuzzCalled(f *testing.F) {
	f.Add(check(f, "aaaa"))
	f.Add([]byte{})
	f.Fuzz(func(_ *testing.T, b []byte) {
		if stunguard.WellFormed(b) {
			called(b)
		}
	})
}
