package sdp

import (
	"net/netip"
	"strconv"
	"strings"

	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdes"
)

// Direction says which ways a medium flows, seen from the side that is named.
type Direction uint8

// The directions; SendRecv is both bits.
const (
	Inactive Direction = 0
	SendOnly Direction = 1
	RecvOnly Direction = 2
	SendRecv Direction = 3
)

// Sends reports whether packets are sent.
func (d Direction) Sends() bool { return d&SendOnly != 0 }

// Receives reports whether packets are received.
func (d Direction) Receives() bool { return d&RecvOnly != 0 }

// Reverse is the same direction seen from the other side.
func (d Direction) Reverse() Direction { return d>>1 | d<<1&SendRecv }

func (d Direction) String() string {
	return [...]string{"inactive", "sendonly", "recvonly", "sendrecv"}[d&SendRecv]
}

// Direction is the direction of a media section, else of the session (RFC 8866 §6.7), as its writer sees it.
func (s *Session) Direction(m *Media) Direction {
	for _, list := range [][]Attribute{m.Attributes, s.Attributes} {
		for _, a := range list {
			switch a.Key {
			case "sendrecv":
				return SendRecv
			case "sendonly":
				return SendOnly
			case "recvonly":
				return RecvOnly
			case "inactive":
				return Inactive
			}
		}
	}
	return SendRecv
}

// Medium is one m-line that both sides have agreed on, or that we propose.
type Medium struct {
	Kind   leg.Kind
	Label  string // "main", or "screen" for slides
	Active bool   // false: port 0, the rest but Section and Formats does not matter

	Section string   // as in m=: "audio", "video", "application" …
	Proto   string   // "RTP/AVP" …
	Formats []string // of a refused m-line, to be repeated

	// Offered lists the codecs written into the description; in an answer that
	// is the chosen one and its telephone-event.
	Offered []leg.Codec
	Receive []leg.Codec // what the peer may send, with our payload types; none if the direction forbids
	Send    leg.Codec   // what it is to be sent, with its payload type and parameters; zero if none

	Direction  Direction      // ours
	Remote     netip.AddrPort // where RTP goes; not valid while unknown
	RemoteRTCP netip.AddrPort
	Mux        bool // RTCP on the RTP port (RFC 5761)

	Crypto    []sdes.Crypto // of ours: one in an answer, several in an offer; none: no SRTP
	RemoteKey sdes.Crypto   // what the peer encrypts with

	NACK, PLI, FIR, REMB bool  // a=rtcp-fb
	LevelExt             uint8 // audio level extension id (RFC 6464), 0 for none

	MaxBitrate int // the peer's limit on what we send, bit/s; 0 for none
}

// Secure reports whether the medium is encrypted.
func (m *Medium) Secure() bool { return m.RemoteKey.Present() }

// profile takes RTP profiles apart.
func profile(proto string) (secure, feedback, ok bool) {
	switch strings.ToUpper(proto) {
	case "RTP/AVP":
		return false, false, true
	case "RTP/AVPF":
		return false, true, true
	case "RTP/SAVP":
		return true, false, true
	case "RTP/SAVPF":
		return true, true, true
	}
	return false, false, false
}

// extLevel is the audio level header extension (RFC 6464).
const extLevel = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

// extension returns the id of a header extension the section offers, 0 if it does
// not. Only one-byte ids (1 to 14) are used.
func (m *Media) extension(uri string) uint8 {
	for _, a := range m.Attributes {
		if a.Key != "extmap" {
			continue
		}
		id, rest, _ := strings.Cut(a.Value, " ")
		id, _, _ = strings.Cut(id, "/")
		name, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if n, err := strconv.ParseUint(id, 10, 8); err == nil && n >= 1 && n <= 14 && name == uri {
			return uint8(n)
		}
	}
	return 0
}

// feedback reports whether the section offers a feedback message for a payload type.
func (m *Media) feedback(pt uint8, message string) bool {
	for _, a := range m.Attributes {
		if a.Key != "rtcp-fb" {
			continue
		}
		who, what, _ := strings.Cut(a.Value, " ")
		if (who == "*" || who == strconv.Itoa(int(pt))) && strings.TrimSpace(what) == message {
			return true
		}
	}
	return false
}

// addresses returns where RTP and RTCP of a section go.
func (m *Media) addresses() (rtp, rtcp netip.AddrPort, mux bool) {
	if !m.Connection.IsValid() || m.Connection.IsUnspecified() || m.Port == 0 {
		return
	}
	rtp = netip.AddrPortFrom(m.Connection, uint16(m.Port))
	if _, mux = m.Attribute("rtcp-mux"); mux {
		return rtp, rtp, true
	}
	rtcp = netip.AddrPortFrom(m.Connection, uint16(m.Port+1)) // RFC 3550 §11
	if v, ok := m.Attribute("rtcp"); ok {                     // RFC 3605
		f := strings.Fields(v)
		if port, err := strconv.ParseUint(at(f, 0), 10, 16); err == nil && port > 0 {
			addr := m.Connection
			if a, err := netip.ParseAddr(at(f, 3)); err == nil && !a.IsMulticast() && !a.IsUnspecified() {
				addr = a.Unmap().WithZone("")
			}
			rtcp = netip.AddrPortFrom(addr, uint16(port))
		}
	}
	return rtp, rtcp, false
}
