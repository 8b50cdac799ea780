package stunguard

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func frame(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }

// Each way to read a socket passes by what is not well-formed.
func TestNet(t *testing.T) {
	drops := 0
	g := &Guard{OnDrop: func() { drops++ }}
	n, err := g.Net()
	require.NoError(t, err)
	local := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	listened, err := n.ListenUDP("udp4", local)
	require.NoError(t, err)
	defer listened.Close()
	packets, err := n.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer packets.Close()
	stranger, err := net.ListenUDP("udp4", local)
	require.NoError(t, err)
	defer stranger.Close()
	dialled, err := n.DialUDP("udp4", nil, stranger.LocalAddr().(*net.UDPAddr))
	require.NoError(t, err)
	defer dialled.Close()

	bad, good, buf := message(0, 0x20, 0, 0), message(), make([]byte, 1500)
	for _, way := range []struct {
		to   net.Addr
		read func() (int, error)
	}{
		{listened.LocalAddr(), func() (int, error) { n, _, err := listened.ReadFrom(buf); return n, err }},
		{listened.LocalAddr(), func() (int, error) { n, _, err := listened.ReadFromUDP(buf); return n, err }},
		{listened.LocalAddr(), func() (int, error) { n, _, _, _, err := listened.ReadMsgUDP(buf, nil); return n, err }},
		{packets.LocalAddr(), func() (int, error) { n, _, err := packets.ReadFrom(buf); return n, err }},
		{dialled.LocalAddr(), func() (int, error) { return dialled.Read(buf) }},
	} {
		for _, b := range [][]byte{bad, good} {
			_, err := stranger.WriteTo(b, way.to)
			require.NoError(t, err)
		}
		got, err := way.read()
		require.NoError(t, err)
		require.Equal(t, good, buf[:got])
	}
	require.Equal(t, 5, drops)
}

func TestListener(t *testing.T) {
	drops := 0
	g := &Guard{OnDrop: func() { drops++ }}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	l = g.Listener(l)
	defer l.Close()
	dialled, err := net.Dial("tcp4", l.Addr().String())
	require.NoError(t, err)
	defer dialled.Close()
	accepted, err := l.Accept()
	require.NoError(t, err)
	defer accepted.Close()
	require.NoError(t, accepted.SetReadDeadline(time.Now().Add(10*time.Second)))

	bad, good, long := message(0, 0x20, 0, 0), message(), make([]byte, maxFrame)
	for _, b := range [][]byte{frame(bad), frame(good)[:7], frame(good)[7:], frame(bad), frame(nil), frame(long)} {
		_, err := dialled.Write(b)
		require.NoError(t, err)
	}
	got := make([]byte, len(frame(good))+2+len(frame(long)))
	for i := range 3 { // a reader of few bytes at a time
		_, err = io.ReadFull(accepted, got[i:i+1])
		require.NoError(t, err)
	}
	_, err = io.ReadFull(accepted, got[3:])
	require.NoError(t, err)
	require.Equal(t, append(append(frame(good), 0, 0), frame(long)...), got)
	require.Equal(t, 2, drops)

	_, err = dialled.Write([]byte{0xff, 0xff, 0})
	require.NoError(t, err)
	_, err = accepted.Read(got)
	require.ErrorContains(t, err, "65535 bytes")
}
