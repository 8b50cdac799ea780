package network

import (
	"encoding/binary"
	"slices"
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

// Between are the packets that were sent between two times.
func Between(trace []Packet, from, to time.Time) []Packet {
	i, _ := slices.BinarySearchFunc(trace, from, func(p Packet, t time.Time) int { return p.In.Compare(t) })
	j, _ := slices.BinarySearchFunc(trace, to, func(p Packet, t time.Time) int { return p.In.Compare(t) })
	return trace[i:max(i, j)]
}

// Queues are how long those packets queued that came out, in milliseconds.
func Queues(packets []Packet) (ms []float64) {
	for _, p := range packets {
		if !p.Out.IsZero() {
			ms = append(ms, float64(p.Queued)/float64(time.Millisecond))
		}
	}
	return ms
}

// Over is for how long packets queued longer than a limit: from each that did until the next one that came out.
func Over(packets []Packet, limit time.Duration) (over time.Duration) {
	var since time.Time // of the last one, if it did
	for _, p := range packets {
		if p.Out.IsZero() {
			continue
		}
		if !since.IsZero() {
			over += p.In.Sub(since)
		}
		if since = (time.Time{}); p.Queued > limit {
			since = p.In
		}
	}
	return over
}

// Rate is how many bit/s came out between two times.
func Rate(trace []Packet, from, to time.Time) float64 {
	bytes := 0
	for _, p := range trace {
		if !p.Out.IsZero() && !p.Out.Before(from) && p.Out.Before(to) {
			bytes += p.Size
		}
	}
	return 8 * float64(bytes) / to.Sub(from).Seconds()
}

// Video is the SSRC of most of the bytes of RTP: the picture's, if there is one.
func Video(trace []Packet) (ssrc uint32) {
	bytes := map[uint32]int{}
	for _, p := range trace {
		if p.Kind != RTP {
			continue
		}
		if bytes[p.SSRC] += p.Size; bytes[p.SSRC] > bytes[ssrc] {
			ssrc = p.SSRC
		}
	}
	return ssrc
}

// Pictures are when those of a stream were complete of which no packet was lost, in this order; for receivers
// that do not tell what they see.
func Pictures(packets []Packet, ssrc uint32) (at []time.Time) {
	type picture struct {
		complete time.Time
		lost     bool
	}
	pictures := map[uint32]*picture{}
	for _, p := range packets {
		if p.Kind != RTP || p.SSRC != ssrc {
			continue
		}
		x := pictures[p.TS]
		if x == nil {
			x = &picture{}
			pictures[p.TS] = x
		}
		x.lost = x.lost || p.Out.IsZero()
		if p.Out.After(x.complete) {
			x.complete = p.Out
		}
	}
	for _, x := range pictures {
		if !x.lost {
			at = append(at, x.complete)
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	return at
}

// SoundLost is the share of packets of RTP that did not come out, of all streams but the picture's, from 0 to 1; 1 if there
// were none.
func SoundLost(packets []Packet, video uint32) float64 {
	sent, lost := 0, 0
	for _, p := range packets {
		if p.Kind != RTP || p.SSRC == video {
			continue
		}
		if sent++; p.Out.IsZero() {
			lost++
		}
	}
	if sent == 0 {
		return 1
	}
	return float64(lost) / float64(sent)
}
