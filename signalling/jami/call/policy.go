package call

import (
	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdes"
	"rendezvous/signalling/sdp"
)

// dialect is what daemons of Jami write and take, that of 2023 and today's.
var dialect = sdp.Dialect{
	// The one that they write. Of the others that they take, one has a shorter tag, and one does not work with them.
	Suites: []sdes.Suite{sdes.AES128CM80},
	// Their own payload types, and the parameters that they write.
	Formats: map[string][]leg.Codec{
		"opus": {{Name: "opus", PayloadType: 104, ClockRate: 48000, Channels: 2}},
		"H264": {{Name: "H264", PayloadType: 96, ClockRate: 90000, Fmtp: "profile-level-id=428029"}},
		"VP8":  {{Name: "VP8", PayloadType: 97, ClockRate: 90000}},
	},
	ICE:             true, // with two components for each medium
	NoFeedback:      true, // they ask for key frames by SIP INFO, and steer rates by code words
	AnyH264:         true, // they send and take fragments, and write no packetization mode
	NoHints:         true,
	DirectionFirst:  true,
	RefusedInactive: true,
}

// offerPolicy is what calls of ours offer: what every daemon takes.
func offerPolicy() sdp.Policy {
	return sdp.Policy{Audio: []string{"opus"}, Video: []string{"H264", "VP8"}, SRTP: sdp.SRTPRequired, Dialect: dialect}
}

// policy is what is taken of an offer. H.265 comes last: it is taken where nothing else is offered, and then only received.
func (c *Call) policy() sdp.Policy {
	p := offerPolicy()
	p.Audio = append(p.Audio, "G722", "PCMA", "PCMU") // an account can be set to these
	if c.cfg.H265 {
		p.Video = append(p.Video, "H265")
	}
	return p
}
