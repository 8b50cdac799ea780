package sdp

import (
	"strconv"
	"strings"

	"rendezvous/mixer/leg"
)

// static are the payload types that need no rtpmap (RFC 3551 §6).
var static = map[uint8]leg.Codec{
	0: {Name: "PCMU", ClockRate: 8000, Channels: 1},
	8: {Name: "PCMA", ClockRate: 8000, Channels: 1},
	9: {Name: "G722", ClockRate: 8000, Channels: 1}, // RFC 3551 §4.5.2: 8000 although it samples at 16000
}

// canonical spells the codec names as leg.Codec wants them.
var canonical = map[string]string{
	"opus": "opus", "g722": "G722", "pcmu": "PCMU", "pcma": "PCMA",
	"telephone-event": "telephone-event", "h264": "H264", "vp8": "VP8", "h265": "H265",
}

// Codecs returns the formats of the m-line that are known here, in its order.
func (m *Media) Codecs() []leg.Codec {
	maps := make(map[uint8]leg.Codec)
	for _, a := range m.Attributes {
		if a.Key != "rtpmap" {
			continue
		}
		pt, rest, ok := cutPayloadType(a.Value)
		if !ok {
			continue
		}
		parts := strings.Split(rest, "/")
		clock, err := strconv.ParseUint(at(parts, 1), 10, 31)
		if err != nil || clock == 0 {
			continue
		}
		c := leg.Codec{Name: canonical[strings.ToLower(parts[0])], PayloadType: pt, ClockRate: int(clock)}
		if m.Kind == "audio" {
			c.Channels = 1
			if n, err := strconv.ParseUint(at(parts, 2), 10, 8); err == nil && n > 0 {
				c.Channels = int(n)
			}
		}
		maps[pt] = c
	}
	for _, a := range m.Attributes {
		if a.Key != "fmtp" {
			continue
		}
		if pt, rest, ok := cutPayloadType(a.Value); ok {
			c, mapped := maps[pt]
			if !mapped {
				c = static[pt]
			}
			c.Fmtp = rest
			c.PayloadType = pt
			maps[pt] = c
		}
	}
	var out []leg.Codec
	seen := make(map[uint8]bool)
	for _, f := range m.Formats {
		n, err := strconv.ParseUint(f, 10, 7)
		if err != nil || seen[uint8(n)] {
			continue
		}
		pt := uint8(n)
		seen[pt] = true
		c, mapped := maps[pt]
		if !mapped {
			c = static[pt]
			c.PayloadType = pt
		}
		if c.Name != "" && plausible(c, m.Kind) {
			out = append(out, c)
		}
	}
	return out
}

// plausible rejects formats whose clock or channels do not belong to the name.
func plausible(c leg.Codec, kind string) bool {
	switch c.Name {
	case "opus":
		return kind == "audio" && c.ClockRate == 48000 // RFC 7587 §7 wants two channels; some phones write one
	case "G722", "PCMU", "PCMA":
		return kind == "audio" && c.ClockRate == 8000 && c.Channels == 1
	case "telephone-event":
		return kind == "audio"
	case "H264", "VP8", "H265":
		return kind == "video" && c.ClockRate == 90000
	}
	return false
}

func at(s []string, i int) string {
	if i < len(s) {
		return s[i]
	}
	return ""
}

// cutPayloadType splits "96 rest".
func cutPayloadType(v string) (pt uint8, rest string, ok bool) {
	n, rest, _ := strings.Cut(v, " ")
	p, err := strconv.ParseUint(n, 10, 7)
	return uint8(p), strings.TrimSpace(rest), err == nil
}

// Parameter returns one parameter of an fmtp value ("a=1;b=2"), lower-cased keys.
func Parameter(fmtp, key string) string {
	for p := range strings.SplitSeq(fmtp, ";") {
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(k, key) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// h264Mode is the packetization mode of an fmtp value; it is 0 where none is named (RFC 6184 §8.1).
func h264Mode(fmtp string) string {
	if mode := Parameter(fmtp, "packetization-mode"); mode != "" {
		return mode
	}
	return "0"
}

// h264MaxBitrate is the bitrate in bit/s that the level of a profile-level-id
// allows in Baseline and Main (ITU-T H.264 table A-1); 0 if there is none.
func h264MaxBitrate(fmtp string) int {
	id := Parameter(fmtp, "profile-level-id")
	if len(id) != 6 {
		return 0
	}
	level, err := strconv.ParseUint(id[4:], 16, 8)
	if err != nil {
		return 0
	}
	kbits := map[uint64]int{
		9: 128, 10: 64, 11: 192, 12: 384, 13: 768, 20: 2000, 21: 4000, 22: 4000,
		30: 10000, 31: 14000, 32: 20000, 40: 20000, 41: 50000, 42: 50000,
	}[level]
	return kbits * 1000
}
