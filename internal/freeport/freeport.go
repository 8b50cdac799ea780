// Package freeport chooses ports for programs that tests start. A port that the system itself has just given out, and
// that is closed again so that a program can be told of it, may be anybody's by the time the program opens it: the next
// socket's of any program on the machine. These are outside of the range that it gives out from, and of two processes
// that ask at once each gets its own.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"

	"golang.org/x/sys/unix"
)

// Where ports are: the host's media begins at 20000 (sip.rtp_ports), what Linux gives out at 32768.
const first, last = 10000, 19999

// apart is how far they lie from each other: media is two streams, each with its RTCP.
const apart = 4

// errNone says that tries were in vain.
var errNone = errors.New("no free ports")

// Take returns n different ports on which nobody listens, for UDP and TCP, each even and with the next three free too.
// They are this process' until it ends, and nobody else is given them who asks here.
func Take(n int) ([]int, error) {
	var ports []int
	for range 1000 {
		if len(ports) == n {
			return ports, nil
		}
		port := first + apart*rand.IntN((last+1-first)/apart)
		if !free(port) {
			continue
		}
		ours, err := claim(port)
		if err != nil {
			return nil, err
		}
		if ours {
			ports = append(ports, port)
		}
	}
	return nil, errNone
}

// One returns one port, as Take does.
func One() (int, error) {
	ports, err := Take(1)
	if err != nil {
		return 0, err
	}
	return ports[0], nil
}

// free reports whether nobody listens at a port and the next three.
func free(port int) bool {
	for p := port; p < port+apart; p++ {
		address := fmt.Sprintf(":%d", p)
		l, err := net.Listen("tcp", address)
		if err != nil {
			return false
		}
		l.Close()
		u, err := net.ListenPacket("udp", address)
		if err != nil {
			return false
		}
		u.Close()
	}
	return true
}

// claim binds a name that the port has for all who ask here (an abstract address: unix(7)), and reports whether nobody has
// it. The socket stays open until the process ends, which is what frees it.
func claim(port int) (ours bool, err error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("claim port %d: %w", port, err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("@rendezvous/port/%d", port)}); err != nil {
		unix.Close(fd)
		if errors.Is(err, unix.EADDRINUSE) {
			return false, nil
		}
		return false, fmt.Errorf("claim port %d: %w", port, err)
	}
	return true, nil
}
