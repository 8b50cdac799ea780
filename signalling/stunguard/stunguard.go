// Package stunguard stands between the network and pion's STUN.
//
// The v3 line of pion/webrtc parses with pion/stun v0, whose readers of addresses look at an attribute's
// first bytes before they look at its length (GHSA-34rh-wp3j-6cxc): one datagram of a stranger, with an empty
// XOR-MAPPED-ADDRESS at the end of the buffer, is a panic in a goroutine of a library, which ends the process.
// No release of that line mends it. So what pion reads is read here first, and STUN that is not
// well-formed to its last attribute is dropped and counted.
package stunguard

import "encoding/binary"

const (
	headerSize = 20         // RFC 8489 section 5
	cookie     = 0x2112a442 // bytes 4 to 8 of a header
	attrHeader = 4
	attrData   = 0x0013 // DATA, the payload that a TURN server hands on (RFC 8656 section 18.4)
)

// WellFormed tells whether b may be given to pion: it is not what pion takes for STUN, or it is a STUN message
// whose header and attributes fill it exactly, with each attribute that we know of a length that its
// definition allows. What a TURN server hands on, in ChannelData or DATA, is looked at like b itself.
func WellFormed(b []byte) bool {
	if !wellFormed(b, true) {
		return false
	}
	if inner, ok := channelData(b); ok {
		return wellFormed(inner, true)
	}
	return true
}

// channelData returns the payload of a ChannelData message (RFC 8656 section 12.4).
func channelData(b []byte) ([]byte, bool) {
	if len(b) < attrHeader || b[0]>>6 != 1 {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n > len(b)-attrHeader {
		return nil, false // pion drops it too
	}
	return b[attrHeader : attrHeader+n], true
}

// wellFormed is WellFormed of one message; nested says whether a DATA attribute is looked into.
func wellFormed(b []byte, nested bool) bool {
	// pion goes by the cookie alone, not by the two zero bits before it.
	if len(b) < headerSize || binary.BigEndian.Uint32(b[4:]) != cookie {
		return true
	}
	attrs := b[headerSize:]
	if b[0]>>6 != 0 || int(binary.BigEndian.Uint16(b[2:])) != len(attrs) {
		return false
	}
	for len(attrs) > 0 {
		if len(attrs) < attrHeader {
			return false
		}
		kind, n := binary.BigEndian.Uint16(attrs), int(binary.BigEndian.Uint16(attrs[2:]))
		padded := (n + 3) &^ 3
		if padded > len(attrs)-attrHeader {
			return false
		}
		value := attrs[attrHeader : attrHeader+n]
		if !sound(kind, value) || kind == attrData && nested && !wellFormed(value, false) {
			return false
		}
		attrs = attrs[attrHeader+padded:]
	}
	return true
}

// sound tells whether an attribute has a length, and an address a family, that its definition allows.
func sound(kind uint16, value []byte) bool {
	n := len(value)
	switch kind {
	case 0x0001, // MAPPED-ADDRESS (RFC 8489 section 14.1)
		0x0020, 0x8020, // XOR-MAPPED-ADDRESS (14.2); 0x8020 is that of old servers
		0x8023,         // ALTERNATE-SERVER (14.15)
		0x0012, 0x0016, // XOR-PEER-ADDRESS, XOR-RELAYED-ADDRESS (RFC 8656 sections 18.3, 18.5)
		0x802b, 0x802c: // RESPONSE-ORIGIN, OTHER-ADDRESS (RFC 5780 sections 7.3, 7.4)
		return n == 8 && value[1] == 1 || n == 20 && value[1] == 2
	case 0x0006: // USERNAME
		return n <= 513
	case 0x0008: // MESSAGE-INTEGRITY: HMAC-SHA1
		return n == 20
	case 0x0009: // ERROR-CODE
		return n >= 4
	case 0x000a: // UNKNOWN-ATTRIBUTES
		return n%2 == 0
	case 0x0014, 0x0015, 0x8022: // REALM, NONCE, SOFTWARE
		return n <= 763
	case 0x0024, 0x8028, // PRIORITY, FINGERPRINT
		0x000c, 0x000d, 0x0019, 0x002a: // CHANNEL-NUMBER, LIFETIME, REQUESTED-TRANSPORT, CONNECTION-ID
		return n == 4
	case 0x0025, 0x001a: // USE-CANDIDATE, DONT-FRAGMENT
		return n == 0
	case 0x0022, 0x8029, 0x802a: // RESERVATION-TOKEN, ICE-CONTROLLED, ICE-CONTROLLING
		return n == 8
	}
	return true
}
