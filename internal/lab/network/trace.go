package network

import (
	"encoding/binary"
	"time"

	"rendezvous/internal/netlink"
)

// Kind is what a packet is.
type Kind uint8

// The kinds. What is of none of them is Other.
const (
	Other Kind = iota
	RTP
	RTCP
	STUN
	DTLS
	TCP
)

// String is its name.
func (k Kind) String() string { return [...]string{"other", "RTP", "RTCP", "STUN", "DTLS", "TCP"}[k] }

// Packet is one that was sent over a direction.
type Packet struct {
	In, Out time.Time     // when it was sent, and when it came out; no Out: it did not, or not yet
	Queued  time.Duration // from In until the link had sent its last bit
	Size    int           // bytes, with the IP header
	Fate    netlink.Fate
	Kind    Kind

	// Of RTP; of RTCP the payload type, as RFC 5761 compares them, and the SSRC of the first packet within.
	PT     uint8
	Marker bool
	Seq    uint16
	TS     uint32
	SSRC   uint32
}

// classify looks into an IP packet. RFC 7983 tells apart what comes over one port.
func classify(b []byte) (p Packet) {
	p.Size = len(b)
	if len(b) < 20 || b[0]>>4 != 4 {
		return p
	}
	header := int(b[0]&15) * 4
	switch b[9] {
	case 6:
		p.Kind = TCP
		return p
	case 17:
		header += 8
	default:
		return p
	}
	if len(b) < header+8 {
		return p
	}
	u := b[header:]
	switch {
	case u[0] < 4:
		p.Kind = STUN
	case u[0] >= 20 && u[0] < 64:
		p.Kind = DTLS
	case u[0] >= 128 && u[0] < 192 && u[1] >= 192 && u[1] <= 223:
		p.Kind = RTCP
		p.PT, p.SSRC = u[1], binary.BigEndian.Uint32(u[4:])
	case u[0] >= 128 && u[0] < 192 && len(u) >= 12:
		p.Kind = RTP
		p.PT, p.Marker = u[1]&0x7f, u[1]&0x80 != 0
		p.Seq, p.TS, p.SSRC = binary.BigEndian.Uint16(u[2:]), binary.BigEndian.Uint32(u[4:]), binary.BigEndian.Uint32(u[8:])
	}
	return p
}
