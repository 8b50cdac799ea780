package sip

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
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
		if _, err := s.parser.ParseSIP(b[:n]); err != nil {
			s.gate.metrics.rejected.WithLabelValues("malformed").Inc()
			s.gate.log.Debug("malformed SIP message", "from", from, "err", err)
			if answer := badRequest(b[:n], from); answer != nil {
				// A lost answer is repeated when the request is.
				_, _ = s.WriteToUDPAddrPort(answer, from)
			}
			continue
		}
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

func classify(b []byte) class {
	switch {
	case bytes.HasPrefix(b, []byte("INVITE ")):
		return classInvite
	case bytes.HasPrefix(b, []byte("OPTIONS ")):
		return classOptions
	}
	return classOther
}

// badRequest makes a 400 for a request that cannot be parsed from those of its lines
// that can be recognised; nil if there is nobody to answer.
func badRequest(b []byte, from netip.AddrPort) []byte {
	head, _, _ := bytes.Cut(b, []byte("\r\n\r\n"))
	lines := strings.Split(string(head), "\r\n")
	first := strings.Fields(lines[0])
	if len(first) < 2 || first[0] == "ACK" || strings.HasPrefix(strings.ToUpper(first[0]), "SIP/") ||
		!strings.HasPrefix(first[len(first)-1], "SIP/") {
		return nil
	}
	var via []string
	found := make(map[string]string)
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok || len(line) > 1024 {
			continue
		}
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "via", "v":
			if len(via) < 10 {
				via = append(via, strings.TrimSpace(value))
			}
		case "f":
			name = "from"
			fallthrough
		case "from":
			found[name] = strings.TrimSpace(value)
		case "t":
			name = "to"
			fallthrough
		case "to":
			found[name] = strings.TrimSpace(value)
		case "i":
			name = "call-id"
			fallthrough
		case "call-id", "cseq":
			found[name] = strings.TrimSpace(value)
		}
	}
	if len(via) == 0 || !strings.HasPrefix(via[0], "SIP/2.0/") {
		return nil
	}
	var out strings.Builder
	out.WriteString("SIP/2.0 400 Bad Request\r\n")
	for i, v := range via {
		out.WriteString("Via: " + v)
		if i == 0 && !strings.Contains(v, "received=") {
			out.WriteString(";received=" + from.Addr().String())
		}
		out.WriteString("\r\n")
	}
	for _, h := range []struct{ key, name string }{{"from", "From"}, {"to", "To"}, {"call-id", "Call-ID"}, {"cseq", "CSeq"}} {
		v, ok := found[h.key]
		if !ok {
			continue
		}
		if h.key == "to" && !strings.Contains(v, "tag=") {
			v += ";tag=" + sip.GenerateTagN(12)
		}
		out.WriteString(h.name + ": " + v + "\r\n")
	}
	out.WriteString("Content-Length: 0\r\n\r\n")
	return []byte(out.String())
}
