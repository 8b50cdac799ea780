package e2e

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// Media ports of a door, for tests that send to them: neither the shipped configuration's, nor the
// laboratory's telephones', nor those that the system takes for outgoing connections.
const minMedia, maxMedia = 22000, 22063

// mediaPorts are those of the range that are in use.
func mediaPorts(t *testing.T) (taken []uint16) {
	t.Helper()
	for port := minMedia; port <= maxMedia; port++ {
		conn, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			taken = append(taken, uint16(port))
		case err != nil:
			t.Fatal(err)
		default:
			conn.Close()
		}
	}
	return taken
}
