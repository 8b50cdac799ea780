package call

import (
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun"
	"github.com/stretchr/testify/require"
)

// While a call's candidates are gathered, the first datagram at the socket that asks the STUN server is read,
// whoever sent it. One with an empty XOR-MAPPED-ADDRESS at the end of pion's buffer of 1280 bytes ended the
// process (GHSA-34rh-wp3j-6cxc).
func TestDatagramOfAStranger(t *testing.T) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer server.Close()
	go func() { // an honest server, 50 ms away
		buf := make([]byte, 1500)
		for {
			n, from, err := server.ReadFromUDP(buf)
			if err != nil {
				return
			}
			request := &stun.Message{Raw: append([]byte(nil), buf[:n]...)}
			if request.Decode() != nil {
				continue
			}
			answer, err := stun.Build(stun.NewTransactionIDSetter(request.TransactionID), stun.BindingSuccess,
				&stun.XORMappedAddress{IP: from.IP, Port: from.Port})
			if err == nil {
				time.AfterFunc(50*time.Millisecond, func() { _, _ = server.WriteTo(answer.Raw, from) }) // it may be closed
			}
		}
	}()

	const first, last = 45000, 45007 // a range that a firewall lets in, and a stranger sprays
	bad := binary.BigEndian.AppendUint16([]byte{1, 1}, 1260)
	bad = append(bad, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	bad = append(bad, 0x80, 0x22, 1252>>8, 1252&255) // SOFTWARE, to fill the buffer
	bad = append(bad, make([]byte, 1252)...)
	bad = append(bad, 0, 0x20, 0, 0)
	stranger, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 77)})
	require.NoError(t, err)
	over, sprayed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sprayed)
		defer stranger.Close()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			for port := first; port <= last; port++ {
				_, _ = stranger.WriteTo(bad, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}) // nobody may listen there yet
			}
			select {
			case <-over:
				return
			case <-tick.C:
			}
		}
	}()
	defer func() { close(over); <-sprayed }()

	uri, err := parseICEServer("stun:" + server.LocalAddr().String())
	require.NoError(t, err)
	var dropped atomic.Int32
	s, err := newICESession(t.Context(), []int{1, 2}, iceConfig{Servers: []*stun.URI{uri}, PortMin: first, PortMax: last,
		Malformed: func() { dropped.Add(1) }})
	require.NoError(t, err)
	defer s.close()
	require.Positive(t, dropped.Load(), "the stranger's datagrams have reached the sockets")
}
