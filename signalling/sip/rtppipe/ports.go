package rtppipe

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
)

// Ports is the range of UDP ports that media use, RTP on an even port and RTCP
// on the next (RFC 3550 §11).
type Ports struct {
	Addr     netip.Addr // local address; the zero Addr listens on all
	Min, Max int        // inclusive; Max 0 leaves the choice to the system
}

// ErrNoPorts means that every pair of the range is in use.
var ErrNoPorts = errors.New("no free pair of media ports in the range")

// readBuffer is asked for each RTP socket, bytes: a burst of video packets must
// survive one late wake-up.
const readBuffer = 1 << 20

// Listen opens a free pair of sockets. The error is ErrNoPorts if the range has none left, else the system's.
func (p Ports) Listen() (rtp, rtcp *net.UDPConn, err error) {
	if p.Max == 0 {
		for range 64 {
			if rtp, rtcp, err = p.fromSystem(); err == nil {
				return rtp, rtcp, nil
			}
		}
		return nil, nil, fmt.Errorf("find a pair of media ports: %w", err)
	}
	first := (p.Min + 1) &^ 1
	pairs := (p.Max - first + 1) / 2
	if pairs < 1 {
		return nil, nil, ErrNoPorts
	}
	start := rand.IntN(pairs)
	for i := range pairs {
		port := first + 2*((start+i)%pairs)
		if rtp, rtcp, err = p.pair(port); err == nil {
			return rtp, rtcp, nil
		}
	}
	return nil, nil, ErrNoPorts
}

func (p Ports) pair(port int) (rtp, rtcp *net.UDPConn, err error) {
	if rtp, err = p.open(port); err != nil {
		return nil, nil, err
	}
	if rtcp, err = p.open(port + 1); err != nil {
		rtp.Close()
		return nil, nil, err
	}
	return rtp, rtcp, nil
}

func (p Ports) fromSystem() (rtp, rtcp *net.UDPConn, err error) {
	if rtp, err = p.open(0); err != nil {
		return nil, nil, err
	}
	port := rtp.LocalAddr().(*net.UDPAddr).Port
	if port%2 == 0 {
		if rtcp, err = p.open(port + 1); err == nil {
			return rtp, rtcp, nil
		}
	} else {
		err = errors.New("odd port")
	}
	rtp.Close()
	return nil, nil, err
}

func (p Ports) open(port int) (*net.UDPConn, error) {
	var addr *net.UDPAddr
	if p.Addr.IsValid() {
		addr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.Addr, uint16(port)))
	} else {
		addr = &net.UDPAddr{Port: port}
	}
	conn, err := net.ListenUDP("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("open media port %d: %w", port, err)
	}
	// The system may grant less; that is not worth failing a call for.
	_ = conn.SetReadBuffer(readBuffer)
	return conn, nil
}
