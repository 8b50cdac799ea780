package rtc

import (
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/pion/ice/v2"
	"github.com/stretchr/testify/require"

	"rendezvous/internal/eventually"
)

// What pion is not safe with does not reach it, by UDP or TCP.
func TestMalformedSTUN(t *testing.T) {
	bad := append([]byte{1, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...)
	bad = append(bad, 0, 0x20, 0, 0) // an empty XOR-MAPPED-ADDRESS
	for _, udp := range []string{"127.0.0.1:0", ":0"} {
		var dropped atomic.Int32
		e, err := NewEngine(Config{Log: slog.New(slog.DiscardHandler), UDPAddr: udp, TCPAddr: "127.0.0.1:0", Loopback: true, Malformed: func() { dropped.Add(1) }})
		require.NoError(t, err)
		defer e.Close()
		for _, a := range e.udp.of(netip.Addr{}).GetListenAddresses() {
			if !a.(*net.UDPAddr).IP.IsLoopback() {
				continue
			}
			c, err := net.Dial("udp", a.String())
			require.NoError(t, err)
			defer c.Close()
			_, err = c.Write(bad)
			require.NoError(t, err)
			break
		}
		eventually.True(t, "dropped over UDP on "+udp, func() bool { return dropped.Load() == 1 })
		c, err := net.Dial("tcp", e.tcp.(*ice.TCPMuxDefault).LocalAddr().String())
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(bad))), bad...))
		require.NoError(t, err)
		eventually.True(t, "dropped over TCP beside "+udp, func() bool { return dropped.Load() == 2 })
	}
}
