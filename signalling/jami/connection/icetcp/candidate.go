package icetcp

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"
)

// Bounds on a peer's description, so that it cannot make us dial the world.
const (
	maxDescription = 16 << 10 // bytes of text
	maxCandidates  = 32       // further ones are ignored
)

// CandidateType says how an address was learnt (RFC 5245 section 4.1.1).
type CandidateType string

// The four candidate types.
const (
	Host            CandidateType = "host"
	PeerReflexive   CandidateType = "prflx"
	ServerReflexive CandidateType = "srflx"
	Relayed         CandidateType = "relay"
)

// preference is the type preference of a priority; the letter opens the
// foundation, as Jami's own candidates have it.
func (t CandidateType) preference() (pref uint32, letter string) {
	switch t {
	case Host:
		return 126, "H"
	case PeerReflexive:
		return 110, "P"
	case ServerReflexive:
		return 100, "S"
	}
	return 0, "R"
}

// TCPType says who opens the connection (RFC 6544 section 4.5).
type TCPType string

// Active candidates connect, passive ones listen. Simultaneous open is read
// and never used.
const (
	Active           TCPType = "active"
	Passive          TCPType = "passive"
	SimultaneousOpen TCPType = "so"
)

// discardPort stands in active candidates, whose real port is not known
// before they connect.
const discardPort = 9

// Candidate is one line of a Description.
type Candidate struct {
	Foundation string
	Priority   uint32
	Addr       netip.AddrPort
	Type       CandidateType
	TCPType    TCPType
}

// String renders the line as Jami reads it: with a fixed pattern, so without
// raddr and rport.
func (c Candidate) String() string {
	return fmt.Sprintf("%s 1 TCP %d %s %d typ %s tcptype %s",
		c.Foundation, c.Priority, c.Addr.Addr(), c.Addr.Port(), c.Type, c.TCPType)
}

// newCandidate makes the index-th local candidate; later ones are preferred
// less.
func newCandidate(index int, t CandidateType, tt TCPType, addr netip.AddrPort) Candidate {
	pref, letter := t.preference()
	ip := addr.Addr()
	var f string
	if ip.Is4() {
		b := ip.As4()
		f = letter + strings.TrimLeft(hex.EncodeToString(b[:]), "0")
	} else {
		h := fnv.New32a()
		b := ip.As16()
		h.Write(b[:])
		f = letter + strconv.FormatUint(uint64(h.Sum32()), 16)
	}
	return Candidate{
		Foundation: f,
		Priority:   pref<<24 + uint32(65535-index)<<8 + 255,
		Addr:       addr,
		Type:       t,
		TCPType:    tt,
	}
}

// Description is what one side tells the other of itself: the credentials of
// its checks and all its candidates. It is the ice_msg of a connection
// request.
type Description struct {
	Ufrag      string
	Password   string
	Candidates []Candidate
}

// String renders the lines of ice_msg.
func (d Description) String() string {
	var b strings.Builder
	b.WriteString(d.Ufrag + "\n" + d.Password + "\n")
	for _, c := range d.Candidates {
		b.WriteString(c.String() + "\n")
	}
	return b.String()
}

// ErrDescription is returned for an ice_msg that cannot be used at all.
var ErrDescription = errors.New("icetcp: malformed description")

// ParseDescription reads an ice_msg. Lines that are no TCP candidate of
// component 1 are skipped, for they are of no use here; missing or unusable
// credentials are an error.
func ParseDescription(s string) (Description, error) {
	var d Description
	if len(s) > maxDescription {
		return d, fmt.Errorf("%w: %d bytes", ErrDescription, len(s))
	}
	lines := strings.Split(s, "\n")
	if len(lines) < 2 {
		return d, fmt.Errorf("%w: no password", ErrDescription)
	}
	d.Ufrag = strings.TrimSuffix(lines[0], "\r")
	d.Password = strings.TrimSuffix(lines[1], "\r")
	if !iceChars(d.Ufrag, 4) || !iceChars(d.Password, 22) {
		return Description{}, fmt.Errorf("%w: bad credentials", ErrDescription)
	}
	for _, l := range lines[2:] {
		if len(d.Candidates) == maxCandidates {
			break
		}
		if c, ok := parseCandidate(l); ok {
			d.Candidates = append(d.Candidates, c)
		}
	}
	return d, nil
}

// iceChars reports whether s is a run of min to 256 ice-chars (RFC 5245
// section 15.1).
func iceChars(s string, min int) bool {
	if len(s) < min || len(s) > 256 {
		return false
	}
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '+', r == '/':
		default:
			return false
		}
	}
	return true
}

func parseCandidate(line string) (Candidate, bool) {
	f := strings.Fields(line)
	if len(f) < 8 || len(f[0]) > 32 || f[1] != "1" || !strings.EqualFold(f[2], "TCP") || f[6] != "typ" {
		return Candidate{}, false
	}
	prio, err := strconv.ParseUint(f[3], 10, 32)
	if err != nil {
		return Candidate{}, false
	}
	ip, err := netip.ParseAddr(f[4])
	if err != nil || ip.Zone() != "" {
		return Candidate{}, false
	}
	port, err := strconv.ParseUint(f[5], 10, 16)
	if err != nil || port == 0 {
		return Candidate{}, false
	}
	c := Candidate{
		Foundation: f[0],
		Priority:   uint32(prio),
		Addr:       netip.AddrPortFrom(ip.Unmap(), uint16(port)),
		Type:       CandidateType(f[7]),
	}
	switch c.Type {
	case Host, PeerReflexive, ServerReflexive, Relayed:
	default:
		return Candidate{}, false
	}
	// Others write attribute pairs (raddr, rport, generation) before tcptype.
	for i := 8; i+1 < len(f); i += 2 {
		if f[i] == "tcptype" {
			c.TCPType = TCPType(f[i+1])
		}
	}
	switch c.TCPType {
	case Active, Passive, SimultaneousOpen:
		return c, true
	}
	return Candidate{}, false
}

// pairPriority is RFC 5245 section 5.7.2, from the controlling side's
// candidate and the controlled side's.
func pairPriority(controlling, controlled uint32) uint64 {
	g, d := uint64(controlling), uint64(controlled)
	p := min(g, d)<<32 + 2*max(g, d)
	if g > d {
		p++
	}
	return p
}
