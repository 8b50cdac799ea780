package leg

import (
	"strconv"
	"strings"

	"rendezvous/mixer/av"
	"rendezvous/mixer/ladder"
)

// allowed is the best rung that a receiver of that codec and bit rate (0: any) says it can
// take. If none fits it is the last: a small picture it may refuse is better than none.
func allowed(rungs []ladder.Rung, c Codec, bitrate int) int {
	for i, r := range rungs {
		if (bitrate == 0 || r.Bitrate <= bitrate) && decodable(r, c) {
			return i
		}
	}
	return max(0, len(rungs)-1)
}

// decodable reports whether a receiver's format parameters allow a rung.
func decodable(r ladder.Rung, c Codec) bool {
	switch c.Name {
	case "H264":
		l, ok := h264Level(parameter(c.Fmtp, "profile-level-id"))
		if !ok { // who leaves it out takes more than the level 1 that RFC 6184 §8.1 infers
			return true
		}
		l.Blocks = max(l.Blocks, number(c.Fmtp, "max-fs"))
		l.PerSecond = max(l.PerSecond, number(c.Fmtp, "max-mbps"))
		l.Kilobits = max(l.Kilobits, number(c.Fmtp, "max-br"))
		return l.Fits(r.Width, r.Height, r.FPS, r.Bitrate)
	case "VP8": // RFC 7741 §6.1
		size := ((r.Width + 15) / 16) * ((r.Height + 15) / 16) // macroblocks
		blocks, rate := number(c.Fmtp, "max-fs"), number(c.Fmtp, "max-fr")
		return (blocks == 0 || size <= blocks) && (rate == 0 || r.FPS <= rate)
	}
	return true
}

// most is the bit rate of pictures that a receiver's format parameters allow, in bit/s; 0 for any.
func (c Codec) most() int {
	if c.Name != "H264" {
		return 0
	}
	l, ok := h264Level(parameter(c.Fmtp, "profile-level-id"))
	if !ok {
		return 0
	}
	return 1000 * max(l.Kilobits, number(c.Fmtp, "max-br"))
}

// h264Level reads a profile-level-id.
func h264Level(id string) (l av.H264Level, ok bool) {
	v, err := strconv.ParseUint(id, 16, 24)
	if err != nil || len(id) != 6 {
		return l, false
	}
	idc := int(v & 0xff)
	if constraint3 := v&0x1000 != 0; idc == 11 && constraint3 {
		idc = 9 // level 1b
	}
	return av.H264LevelOf(idc), true
}

// parameter is the value of a format parameter, "" if it is not there.
func parameter(fmtp, name string) string {
	for p := range strings.SplitSeq(fmtp, ";") {
		if k, v, _ := strings.Cut(strings.TrimSpace(p), "="); strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// number is a format parameter that is a positive number, else 0.
func number(fmtp, name string) int {
	n, err := strconv.Atoi(parameter(fmtp, name))
	if err != nil {
		return 0
	}
	return max(0, n)
}
