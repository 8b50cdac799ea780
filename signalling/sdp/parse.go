package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Bounds of what is read from the network.
const (
	maxBytes = 32 << 10 // telephones' and daemons' are shorter than 8 KiB
	maxLines = 2048
	maxMedia = 32
)

// Session is a session description.
type Session struct {
	Origin     Origin
	Name       string
	Connection netip.Addr // session-level c=; the zero Addr if missing or not an IP address
	Bandwidth  int        // session-level limit in bit/s, 0 for none
	Attributes []Attribute
	Media      []*Media
}

// Origin is the o= line: who made the description, and its version.
type Origin struct {
	User    string
	ID      uint64
	Version uint64
	Addr    netip.Addr
}

// Attribute is one a= line.
type Attribute struct {
	Key, Value string
}

// Media is one m= section.
type Media struct {
	Kind       string // "audio", "video", "application", …
	Port       int    // 0: refused or switched off
	Proto      string // "RTP/AVP", …
	Formats    []string
	Connection netip.Addr // its own c=, else the session's
	Bandwidth  int        // bit/s, 0 for none; its own, else the session's
	Attributes []Attribute
}

var errNotSDP = errors.New("session description does not begin with v=0")

// Parse reads a session description (RFC 8866). Unknown lines are skipped. It fails for what is no description, or longer or of more
// lines than a call needs; the error quotes no line that may have a key in it.
func Parse(b []byte) (*Session, error) {
	if len(b) > maxBytes {
		return nil, fmt.Errorf("session description of %d bytes is too long", len(b))
	}
	s := &Session{}
	var m *Media
	first := true
	lines := 0
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		if lines++; lines > maxLines {
			return nil, fmt.Errorf("session description has more than %d lines", maxLines)
		}
		if len(line) < 2 || line[1] != '=' { // not quoted: it may be one with a key
			return nil, fmt.Errorf("line %d of the session description is none", lines)
		}
		kind, value := line[0], strings.TrimSpace(line[2:])
		if first && (kind != 'v' || value != "0") {
			return nil, errNotSDP
		}
		first = false
		var err error
		switch kind {
		case 'o':
			s.Origin, err = parseOrigin(value)
		case 's':
			s.Name = value
		case 'c':
			var addr netip.Addr
			if addr, err = parseConnection(value); err == nil {
				if m != nil {
					m.Connection = addr
				} else {
					s.Connection = addr
				}
			}
		case 'b':
			if bits := parseBandwidth(value); bits > 0 {
				if m != nil {
					m.Bandwidth = tighter(m.Bandwidth, bits)
				} else {
					s.Bandwidth = tighter(s.Bandwidth, bits)
				}
			}
		case 'a':
			key, val, _ := strings.Cut(value, ":")
			a := Attribute{Key: strings.TrimSpace(key), Value: strings.TrimSpace(val)}
			if m != nil {
				m.Attributes = append(m.Attributes, a)
			} else {
				s.Attributes = append(s.Attributes, a)
			}
		case 'm':
			if len(s.Media) == maxMedia {
				return nil, fmt.Errorf("session description has more than %d media", maxMedia)
			}
			if m, err = parseMedia(value); err == nil {
				s.Media = append(s.Media, m)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if first {
		return nil, errNotSDP
	}
	for _, m := range s.Media {
		if !m.Connection.IsValid() {
			m.Connection = s.Connection
		}
		m.Bandwidth = tighter(m.Bandwidth, s.Bandwidth)
	}
	return s, nil
}

func tighter(a, b int) int {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

func parseOrigin(v string) (Origin, error) {
	f := strings.Fields(v)
	if len(f) < 6 {
		return Origin{}, fmt.Errorf("bad origin %q in session description", clip(v))
	}
	// Phones put timestamps wider than 64 bits and even text here; only equality matters.
	id, _ := strconv.ParseUint(f[1], 10, 64)
	version, _ := strconv.ParseUint(f[2], 10, 64)
	addr, _ := netip.ParseAddr(f[5])
	return Origin{User: f[0], ID: id, Version: version, Addr: addr}, nil
}

// parseConnection reads "IN IP4 192.0.2.1". A host name gives the zero Addr: the
// peer's media is then awaited, not looked up.
func parseConnection(v string) (netip.Addr, error) {
	f := strings.Fields(v)
	if len(f) != 3 || f[0] != "IN" || (f[1] != "IP4" && f[1] != "IP6") {
		return netip.Addr{}, fmt.Errorf("bad connection line %q in session description", clip(v))
	}
	host, _, _ := strings.Cut(f[2], "/")
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, nil
	}
	if addr.IsMulticast() {
		return netip.Addr{}, fmt.Errorf("multicast address %s in session description", addr)
	}
	return addr.Unmap().WithZone(""), nil
}

// parseBandwidth returns bit/s of AS (kbit/s with IP overhead) and TIAS (bit/s without), else 0.
func parseBandwidth(v string) int {
	kind, n, ok := strings.Cut(v, ":")
	if !ok {
		return 0
	}
	bits, err := strconv.ParseUint(strings.TrimSpace(n), 10, 31)
	if err != nil {
		return 0
	}
	switch kind {
	case "AS":
		return int(min(bits, 1<<21)) * 1000
	case "TIAS":
		return int(bits)
	}
	return 0
}

func parseMedia(v string) (*Media, error) {
	f := strings.Fields(v)
	if len(f) < 3 {
		return nil, fmt.Errorf("bad media line %q in session description", clip(v))
	}
	portText, _, _ := strings.Cut(f[1], "/")
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("bad port in media line %q", clip(v))
	}
	return &Media{Kind: strings.ToLower(f[0]), Port: int(port), Proto: f[2], Formats: f[3:]}, nil
}

// Attribute returns the session's first attribute with the key, and whether there is one.
func (s *Session) Attribute(key string) (string, bool) { return find(s.Attributes, key) }

// Attribute returns the first attribute with the key, and whether there is one.
func (m *Media) Attribute(key string) (string, bool) { return find(m.Attributes, key) }

func find(list []Attribute, key string) (string, bool) {
	for _, a := range list {
		if a.Key == key {
			return a.Value, true
		}
	}
	return "", false
}
