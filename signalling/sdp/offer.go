package sdp

import (
	"fmt"
	"slices"

	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdes"
)

// Propose makes the media of a first offer of ours. Encrypted media are offered
// if the policy requires them, or allows them and the signalling is encrypted, so
// that the keys do not travel in the clear; the profile is then RTP/SAVP only if required,
// since phones without SRTP would refuse the whole call.
func Propose(p Policy, secureSignalling bool) []Medium {
	audio := Medium{Kind: leg.Audio, Label: "main", Section: "audio"}
	for _, name := range p.Audio {
		audio.Offered = append(audio.Offered, p.formats(name)...)
	}
	audio.Offered = append(audio.Offered, leg.Codec{Name: "telephone-event", PayloadType: 101, ClockRate: 8000, Channels: 1, Fmtp: "0-15"})
	out := []Medium{audio}
	if len(p.Video) > 0 {
		video := Medium{Kind: leg.Video, Label: "main", Section: "video"}
		feedback := !p.NoFeedback
		video.NACK, video.PLI, video.FIR, video.REMB = feedback, feedback, feedback, feedback
		for _, name := range p.Video {
			video.Offered = append(video.Offered, p.formats(name)...)
		}
		out = append(out, video)
	}
	for i := range out {
		m := &out[i]
		m.Active, m.Direction, m.Proto = true, SendRecv, "RTP/AVP"
		if p.SRTP == SRTPRequired {
			m.Proto = "RTP/SAVP"
		}
		if p.SRTP == SRTPRequired || (p.SRTP == SRTPOptional && secureSignalling) {
			for j, suite := range p.offered() {
				m.Crypto = append(m.Crypto, sdes.New(j+1, suite))
			}
		}
	}
	return out
}

// Repeat makes an offer of what is already agreed, to refresh a session.
func Repeat(agreed []Medium) []Medium {
	out := slices.Clone(agreed)
	for i := range out {
		m := &out[i]
		if m.Active && !(m.Kind == leg.Video && m.Label == "screen") {
			m.Direction = SendRecv
		}
	}
	return out
}

// Accept completes what we offered with the peer's answer. Media that a careless
// peer leaves out at the end count as refused.
func Accept(offered []Medium, answer *Session, p Policy) ([]Medium, error) {
	if len(answer.Media) > len(offered) {
		return nil, fmt.Errorf("%w: %d media for %d offered", ErrMismatch, len(answer.Media), len(offered))
	}
	out := make([]Medium, len(offered))
	active := 0
	for i, o := range offered {
		out[i] = Medium{Section: o.Section, Proto: o.Proto, Formats: o.Formats}
		if i >= len(answer.Media) {
			continue
		}
		m := answer.Media[i]
		if !o.Active || m.Port == 0 || m.Kind != o.Section {
			continue
		}
		answered := m.Codecs()
		codec, own, ok := firstCommon(answered, o.Offered, p.Dialect)
		if !ok {
			continue
		}
		a := o
		a.RemoteKey, a.Crypto = answeredCrypto(o.Crypto, m)
		if !a.RemoteKey.Present() && p.SRTP == SRTPRequired {
			continue
		}
		wanted := o.Direction
		a.settle(answer, m, codec, p)
		a.Direction &= wanted
		a.Offered = []leg.Codec{own}
		for _, c := range o.Offered {
			if c.Name == "telephone-event" {
				a.Offered = append(a.Offered, c)
			}
		}
		a.applyDirection(codec)
		if a.Direction.Receives() { // the peer may send any of those that it names, not only the first (RFC 3264 §7)
			a.Receive = slices.Concat(a.Offered, others(answered, o.Offered, own, p.Dialect))
		}
		out[i] = a
		active++
	}
	if active == 0 {
		return nil, ErrNoCommonCodec
	}
	return out, nil
}

// firstCommon returns the first answered codec that we offered: as the peer wrote it, and as we did.
func firstCommon(answered, offered []leg.Codec, d Dialect) (peer, own leg.Codec, ok bool) {
	for _, c := range answered {
		if c.Name == "telephone-event" {
			continue
		}
		for _, o := range offered {
			if d.sameFormat(c, o) {
				return c, o, true
			}
		}
	}
	return leg.Codec{}, leg.Codec{}, false
}

// others are the formats of our offer that the answer names besides the first, by our numbers.
func others(answered, offered []leg.Codec, first leg.Codec, d Dialect) []leg.Codec {
	var out []leg.Codec
	for _, o := range offered {
		named := slices.ContainsFunc(answered, func(c leg.Codec) bool { return d.sameFormat(c, o) })
		if named && o != first && o.Name != "telephone-event" {
			out = append(out, o)
		}
	}
	return out
}

// sameFormat reports whether a format of an answer is one of our offer; the packetization modes of H.264 are formats
// of their own (RFC 6184 §8.2.2).
func (d *Dialect) sameFormat(answered, offered leg.Codec) bool {
	return answered.Name == offered.Name &&
		(offered.Name != "H264" || d.AnyH264 || h264Mode(answered.Fmtp) == h264Mode(offered.Fmtp))
}

// answeredCrypto finds the key line of ours that the answer took by its tag (RFC 4568 §5.1.3).
func answeredCrypto(offered []sdes.Crypto, m *Media) (remote sdes.Crypto, own []sdes.Crypto) {
	for _, r := range m.Cryptos() {
		for _, o := range offered {
			if o.Tag == r.Tag && o.Suite == r.Suite {
				return r, []sdes.Crypto{o}
			}
		}
	}
	return sdes.Crypto{}, nil
}
