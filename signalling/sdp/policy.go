package sdp

import (
	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdes"
)

// SRTP says how much encryption of media is wanted.
type SRTP uint8

// The policies.
const (
	SRTPOff      SRTP = iota // never
	SRTPOptional             // if the peer offers it
	SRTPRequired             // media without it are refused
)

// Policy is what this side wants of a call.
type Policy struct {
	Audio []string // codec names in order of preference
	Video []string // codec names in order of preference; empty: no video
	SRTP  SRTP

	// VideoBitrate is the most we want to be sent, in bit/s; 0 leaves it to the peer.
	VideoBitrate int

	Dialect
}

// Dialect is what one kind of peers has of its own. The zero Dialect is that of telephones.
type Dialect struct {
	// Suites are offered in this order, and no others are taken; nil: those of telephones are offered, and all taken.
	Suites []sdes.Suite
	// Formats are, by the names of codecs, the payload types of offers, and the parameters of answers too; nil: those of
	// telephones.
	Formats map[string][]leg.Codec
	// ICE finds the ways of RTP and RTCP, of each its own: nothing is made of addresses, of a=rtcp-mux, and of the hold that
	// is an address of 0.0.0.0.
	ICE bool
	// NoFeedback says that a=rtcp-fb and header extensions are neither offered nor taken.
	NoFeedback bool
	// AnyH264 says that peers take H.264 in the fragments of packetization mode 1, though they name none.
	AnyH264 bool

	// How descriptions are written. Nothing of it changes what they mean.
	NoHints         bool // a=ptime and a=content are left out
	DirectionFirst  bool // the direction stands before the keys
	RefusedInactive bool // refused media have a direction too
}

// offered are the suites of our offers, in order.
func (d *Dialect) offered() []sdes.Suite {
	if d.Suites != nil {
		return d.Suites
	}
	return []sdes.Suite{sdes.AES128CM80, sdes.AES128CM32, sdes.AES128GCM}
}

// formats are the payload formats of an offer of ours that a codec has.
func (d *Dialect) formats(codec string) []leg.Codec {
	if d.Formats != nil {
		return d.Formats[codec]
	}
	return telephoneFormats[codec]
}

// telephoneFormats are those of offers to telephones.
var telephoneFormats = map[string][]leg.Codec{
	"opus": {{Name: "opus", PayloadType: 96, ClockRate: 48000, Channels: 2, Fmtp: "useinbandfec=1"}},
	"G722": {{Name: "G722", PayloadType: 9, ClockRate: 8000, Channels: 1}},
	"PCMU": {{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1}},
	"PCMA": {{Name: "PCMA", PayloadType: 8, ClockRate: 8000, Channels: 1}},
	"H264": {
		{Name: "H264", PayloadType: 102, ClockRate: 90000, Fmtp: "profile-level-id=42e01f;packetization-mode=1"},
		{Name: "H264", PayloadType: 103, ClockRate: 90000, Fmtp: "profile-level-id=42e01f"},
	},
	"VP8": {{Name: "VP8", PayloadType: 104, ClockRate: 90000}},
}
