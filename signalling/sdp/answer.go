package sdp

import (
	"errors"
	"slices"

	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdes"
)

// Errors of the exchange; all mean 488 Not Acceptable Here.
var (
	ErrNoCommonCodec = errors.New("no common codec")
	ErrInsecure      = errors.New("encrypted media (SRTP) are required here")
	ErrMismatch      = errors.New("answer does not fit the offer")
)

// Answer decides what to accept of an offer: one Medium per m-line of it, in
// its order. Local addresses and ports are not its business. If nothing of it can be accepted the error is
// ErrInsecure where that is why, else ErrNoCommonCodec.
func Answer(offer *Session, p Policy) ([]Medium, error) {
	out := make([]Medium, len(offer.Media))
	taken := make(map[string]bool)
	var err error
	for i, m := range offer.Media {
		medium, why := answerMedium(offer, m, p, taken)
		if why != nil && (err == nil || errors.Is(why, ErrInsecure)) {
			err = why
		}
		out[i] = medium
	}
	if len(taken) == 0 {
		if err == nil {
			err = ErrNoCommonCodec
		}
		return nil, err
	}
	return out, nil
}

func answerMedium(s *Session, m *Media, p Policy, taken map[string]bool) (Medium, error) {
	refused := Medium{Section: m.Kind, Proto: m.Proto, Formats: m.Formats}
	if m.Port == 0 {
		return refused, nil
	}
	var kind leg.Kind
	var preference []string
	label := "main"
	switch m.Kind {
	case "audio":
		kind, preference = leg.Audio, p.Audio
	case "video":
		kind, preference = leg.Video, p.Video
		if content, _ := m.Attribute("content"); content == "slides" || taken["video main"] { // RFC 4796
			label = "screen"
		}
	default:
		return refused, nil
	}
	slot := kind.String() + " " + label
	if taken[slot] || (kind == leg.Video && len(preference) == 0) {
		return refused, nil
	}
	codec, ok := choose(m.Codecs(), preference, p.Dialect)
	if !ok {
		return refused, ErrNoCommonCodec
	}
	a := Medium{Kind: kind, Label: label, Active: true, Section: m.Kind, Proto: m.Proto}
	if !a.settleCrypto(m, p) {
		return refused, ErrInsecure
	}
	a.settle(s, m, codec, p)
	if label == "screen" || codec.Name == "H265" {
		a.Direction &= RecvOnly // the room's picture goes into the main video, and not in H.265
	}
	a.Offered = []leg.Codec{p.ours(codec)}
	if event, ok := eventFor(m.Codecs(), codec); ok {
		a.Offered = append(a.Offered, p.ours(event))
	}
	a.applyDirection(codec)
	taken[slot] = true
	return a, nil
}

// settleCrypto picks the peer's first usable key line and makes our own; it
// reports false if the policy forbids what is offered. A plain profile with key
// lines is common among phones and is taken as an offer of SRTP.
func (a *Medium) settleCrypto(m *Media, p Policy) bool {
	secure, _, ok := profile(m.Proto)
	if !ok {
		return false
	}
	lines := p.usable(m.Cryptos())
	if p.SRTP == SRTPOff || len(lines) == 0 {
		return !secure && p.SRTP != SRTPRequired
	}
	a.RemoteKey = lines[0]
	a.Crypto = []sdes.Crypto{sdes.New(lines[0].Tag, lines[0].Suite)}
	return true
}

// usable are the lines whose suites may be taken.
func (d *Dialect) usable(lines []sdes.Crypto) []sdes.Crypto {
	if d.Suites == nil {
		return lines
	}
	return slices.DeleteFunc(lines, func(c sdes.Crypto) bool { return !slices.Contains(d.Suites, c.Suite) })
}

// settle takes from the peer's section everything that does not depend on who offered.
func (a *Medium) settle(s *Session, m *Media, codec leg.Codec, p Policy) {
	a.Direction = s.Direction(m).Reverse()
	if !p.ICE {
		a.Remote, a.RemoteRTCP, a.Mux = m.addresses()
		if !a.Remote.IsValid() {
			a.Direction &^= SendOnly // RFC 3264 §8.4: 0.0.0.0 is hold
		}
	}
	_, feedback, _ := profile(m.Proto)
	pt := codec.PayloadType
	if !p.NoFeedback && (feedback || a.Kind == leg.Video) {
		a.NACK = m.feedback(pt, "nack")
		a.PLI = m.feedback(pt, "nack pli")
		a.FIR = m.feedback(pt, "ccm fir")
		a.REMB = m.feedback(pt, "goog-remb")
	}
	if !p.NoFeedback && a.Kind == leg.Audio {
		a.LevelExt = m.extension(extLevel)
	}
	a.MaxBitrate = m.Bandwidth
	if codec.Name == "H264" {
		a.MaxBitrate = tighter(a.MaxBitrate, h264MaxBitrate(codec.Fmtp))
	}
}

// applyDirection fills Receive and Send.
func (a *Medium) applyDirection(peer leg.Codec) {
	a.Receive, a.Send = nil, leg.Codec{}
	if a.Direction.Receives() {
		a.Receive = slices.Clone(a.Offered)
	}
	if a.Direction.Sends() {
		a.Send = peer
	}
}

// ours gives a codec of the peer's the parameters that we want to be sent.
func (d *Dialect) ours(c leg.Codec) leg.Codec {
	switch {
	case c.Name == "telephone-event":
		c.Fmtp = "0-15"
		return c
	case d.Formats != nil:
		c.Fmtp = ""
		if f := d.Formats[c.Name]; len(f) > 0 {
			c.Fmtp = f[0].Fmtp
		}
		return c
	}
	switch c.Name {
	case "opus":
		c.Fmtp = "useinbandfec=1"
	case "H264":
		fmtp := ""
		if id := Parameter(c.Fmtp, "profile-level-id"); len(id) == 6 {
			fmtp = "profile-level-id=" + id + ";"
		}
		if h264Mode(c.Fmtp) == "1" {
			fmtp += "packetization-mode=1;"
		}
		c.Fmtp = trimSemicolon(fmtp)
	default:
		c.Fmtp = ""
	}
	return c
}

func trimSemicolon(s string) string {
	if n := len(s); n > 0 && s[n-1] == ';' {
		return s[:n-1]
	}
	return s
}

// choose returns the format we like best of those offered. H.264 in
// packetization mode 0 comes last: what we send needs mode 1 (RFC 6184 §6).
func choose(offered []leg.Codec, preference []string, d Dialect) (leg.Codec, bool) {
	best, rank := leg.Codec{}, 1<<30
	for i, c := range offered {
		n := slices.IndexFunc(preference, func(name string) bool { return name == c.Name })
		if n < 0 {
			continue
		}
		score := n*1000 + i
		switch {
		case c.Name == "PCMU" || c.Name == "PCMA":
			// As good as each other: the peer's order decides.
			score = 500_000 + i
		case c.Name == "H264" && h264Mode(c.Fmtp) != "1" && !d.AnyH264:
			score += 900_000
		case c.Name == "H264" && !isBaseline(c.Fmtp):
			score += 100
		}
		if score < rank {
			best, rank = c, score
		}
	}
	return best, rank < 1<<30
}

// isBaseline reports whether profile-level-id names (constrained) baseline, which is what we encode.
func isBaseline(fmtp string) bool {
	id := Parameter(fmtp, "profile-level-id")
	return id == "" || (len(id) == 6 && id[:2] == "42")
}

// eventFor returns the telephone-event format that goes with a codec: of the same
// clock if offered (RFC 4733 §2.1), else the first.
func eventFor(offered []leg.Codec, codec leg.Codec) (leg.Codec, bool) {
	if codec.ClockRate == 90000 { // a picture's
		return leg.Codec{}, false
	}
	var first leg.Codec
	for _, c := range offered {
		if c.Name != "telephone-event" {
			continue
		}
		if c.ClockRate == codec.ClockRate {
			return c, true
		}
		if first.Name == "" {
			first = c
		}
	}
	return first, first.Name != ""
}
