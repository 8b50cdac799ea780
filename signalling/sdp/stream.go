package sdp

import (
	"crypto/rand"
	"encoding/binary"
	"slices"

	"rendezvous/mixer/leg"
)

// SessionConfig is the RTP session that carries the medium, with a source (SSRC) of its own. It holds for as long as
// the formats do: what is not received or sent now, as the call is held, is in it all the same.
func (m *Medium) SessionConfig(cname string) leg.SessionConfig {
	cfg := leg.SessionConfig{
		Kind: m.Kind, SSRC: newSSRC(), CNAME: cname, Receive: m.formats(), Send: m.Send,
		NACK: m.NACK, PLI: m.PLI || m.FIR, REMB: m.REMB,
	}
	if cfg.Send.Name == "" {
		cfg.Send = m.Offered[0]
	}
	return cfg
}

// Media is the medium as a leg takes it, on a transport that sends as that source.
func (m *Medium) Media(t leg.Transport, ssrc uint32) leg.Media {
	return leg.Media{
		Kind: m.Kind, Label: m.Label, Transport: t, Receive: m.Receive, Send: m.Send,
		SSRC: ssrc, LevelExt: m.LevelExt, MaxSendBitrate: m.MaxBitrate, NoRepair: !m.NACK,
	}
}

// formats are all that the peer may send, now or when the direction allows it, with our payload types.
func (m *Medium) formats() []leg.Codec {
	all := slices.Clone(m.Offered)
	for _, c := range m.Receive {
		if !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	return all
}

// PayloadTypes is the set of types of packets that belong to the medium.
func (m *Medium) PayloadTypes() (set [128]bool) {
	for _, c := range m.formats() {
		set[c.PayloadType&127] = true
	}
	return set
}

// newSSRC is a random SSRC (RFC 3550 §8.1).
func newSSRC() uint32 {
	var b [4]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return binary.BigEndian.Uint32(b[:])
}
