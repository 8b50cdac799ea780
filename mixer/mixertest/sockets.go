package mixertest

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

// Sockets carry one medium's plain RTP and RTCP on loopback. They are a leg.Pipe.
type Sockets struct {
	RTP, RTCP *net.UDPConn // at an even port, and at the next

	listening sync.WaitGroup // to RTCP

	to atomic.Uint32 // the port that RTP is sent to, RTCP to the next; 0: what is written goes nowhere
}

// NewSockets opens a pair. Close closes it.
func NewSockets(t testing.TB) *Sockets {
	t.Helper()
	for range 50 {
		a, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		port := a.LocalAddr().(*net.UDPAddr).Port
		b, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port + 1})
		if err != nil || port%2 == 1 {
			a.Close()
			if b != nil {
				b.Close()
			}
			continue
		}
		return &Sockets{RTP: a, RTCP: b}
	}
	t.Fatal("no pair of UDP ports")
	return nil
}

// Port is that of RTP.
func (s *Sockets) Port() int { return s.RTP.LocalAddr().(*net.UDPAddr).Port }

// SendTo says at which port on loopback the far end takes RTP; RTCP goes to the next.
func (s *Sockets) SendTo(port int) { s.to.Store(uint32(port)) }

// ReadRTP implements leg.Pipe.
func (s *Sockets) ReadRTP(b []byte) (int, error) { return s.RTP.Read(b) }

// OnRTCP implements leg.Pipe.
func (s *Sockets) OnRTCP(take func(b []byte)) {
	s.listening.Go(func() {
		b := make([]byte, 2048)
		for {
			n, err := s.RTCP.Read(b)
			if err != nil {
				return
			}
			take(b[:n])
		}
	})
}

// WriteRTP implements leg.Pipe.
func (s *Sockets) WriteRTP(b []byte) error { return s.write(s.RTP, b, 0) }

// WriteRTCP implements leg.Pipe.
func (s *Sockets) WriteRTCP(b []byte) error { return s.write(s.RTCP, b, 1) }

func (s *Sockets) write(from *net.UDPConn, b []byte, next uint32) error {
	port := s.to.Load()
	if port == 0 {
		return nil
	}
	_, err := from.WriteToUDPAddrPort(b, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port+next)))
	return err
}

// Close ends reading.
func (s *Sockets) Close() {
	s.RTP.Close()
	s.RTCP.Close()
	s.listening.Wait()
}
