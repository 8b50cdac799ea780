package sip

import (
	"bytes"
	"net"
	"net/netip"
	"time"

	"github.com/emiago/sipgo/sip"
)

// maxUDPSources is how many source addresses one reader of sipgo may see. It keeps
// an entry for each as long as it lives, so it is given a new life from time to time.
const maxUDPSources = 4096

// udpSocket is the UDP socket as sipgo sees it during one life of its reader. What is not worth
// parsing is dropped here, and what cannot be parsed is answered here.
type udpSocket struct {
	*net.UDPConn
	gate   *gate
	parser *sip.Parser
	seen   map[netip.AddrPort]struct{}
}

// ReadFrom returns the next message that passes. It reports net.ErrClosed at the
// end of the reader's life too.
func (s *udpSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := s.ReadFromUDPAddrPort(b)
		if err != nil {
			return 0, nil, err
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if !s.gate.admit(b[:n], from.Addr()) {
			continue
		}
		message := readable(b[:n], from.Addr())
		if _, err := s.parser.ParseSIP(message); err != nil || len(message) > len(b) {
			if answer := s.gate.malformed(b[:n], from, err); answer != nil {
				// A lost answer is repeated when the request is.
				_, _ = s.WriteToUDPAddrPort(answer, from)
			}
			continue
		}
		n = copy(b, message)
		if _, known := s.seen[from]; !known {
			if len(s.seen) >= maxUDPSources {
				return 0, nil, net.ErrClosed
			}
			s.seen[from] = struct{}{}
		}
		return n, net.UDPAddrFromAddrPort(from), nil
	}
}

// Close leaves the socket open: it belongs to the door.
func (s *udpSocket) Close() error { return nil }

// admit reports whether a datagram deserves to be parsed.
func (g *gate) admit(b []byte, source netip.Addr) bool {
	if len(bytes.Trim(b, "\r\n\x00 ")) == 0 {
		return false // keep-alive (RFC 5626 §3.5.1)
	}
	if len(b) < 20 {
		g.metrics.dropped.WithLabelValues("malformed").Inc()
		return false
	}
	if !g.limiter.allow(source, classify(b), time.Now()) {
		g.metrics.dropped.WithLabelValues("flood").Inc()
		return false
	}
	return true
}

// malformed counts a message that cannot be read, and returns what is to be answered, nil for nothing.
func (g *gate) malformed(message []byte, from netip.AddrPort, err error) []byte {
	g.metrics.rejected.WithLabelValues("malformed").Inc()
	g.log.Debug("malformed SIP message", "from", from, "error", err)
	return badRequest(message, from)
}

func classify(b []byte) class {
	switch {
	case bytes.HasPrefix(b, []byte("INVITE ")):
		return classInvite
	case bytes.HasPrefix(b, []byte("OPTIONS ")):
		return classOptions
	}
	return classOther
}
