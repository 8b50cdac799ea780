package leg

import (
	"strconv"
	"strings"

	"rendezvous/mixer/ladder"
)

// allowed is the best rung that a receiver of that codec and bit rate (0: any) says he can
// take. If none fits it is the last: a small picture he may refuse is better than none.
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
	size := ((r.Width + 15) / 16) * ((r.Height + 15) / 16) // macroblocks
	switch c.Name {
	case "H264":
		l, ok := h264Level(parameter(c.Fmtp, "profile-level-id"))
		if !ok { // who leaves it out takes more than the level 1 that RFC 6184 §8.1 infers
			return true
		}
		l.blocks = max(l.blocks, number(c.Fmtp, "max-fs"))
		l.perSecond = max(l.perSecond, number(c.Fmtp, "max-mbps"))
		l.kilobits = max(l.kilobits, number(c.Fmtp, "max-br"))
		return size <= l.blocks && size*r.FPS <= l.perSecond && r.Bitrate <= l.kilobits*1000
	case "VP8": // RFC 7741 §6.1
		blocks, rate := number(c.Fmtp, "max-fs"), number(c.Fmtp, "max-fr")
		return (blocks == 0 || size <= blocks) && (rate == 0 || r.FPS <= rate)
	}
	return true
}

// level is a row of table A-1 of ITU-T H.264.
type level struct {
	idc       int
	perSecond int // MaxMBPS, macroblocks
	blocks    int // MaxFS, macroblocks
	kilobits  int // MaxBR in 1000 bit/s, of the baseline profile
}

var h264Levels = []level{
	{9, 1485, 99, 128}, {10, 1485, 99, 64}, {11, 3000, 396, 192}, {12, 6000, 396, 384}, {13, 11880, 396, 768},
	{20, 11880, 396, 2000}, {21, 19800, 792, 4000}, {22, 20250, 1620, 4000},
	{30, 40500, 1620, 10000}, {31, 108000, 3600, 14000}, {32, 216000, 5120, 20000},
	{40, 245760, 8192, 20000}, {41, 245760, 8192, 50000}, {42, 522240, 8704, 50000},
	{50, 589824, 22080, 135000}, {51, 983040, 36864, 240000}, {52, 2073600, 36864, 240000},
}

// h264Level reads a profile-level-id; a level that is not in the table counts as the one below it.
func h264Level(id string) (l level, ok bool) {
	v, err := strconv.ParseUint(id, 16, 24)
	if err != nil || len(id) != 6 {
		return l, false
	}
	idc := int(v & 0xff)
	if constraint3 := v&0x1000 != 0; idc == 11 && constraint3 {
		idc = 9 // level 1b
	}
	l = h264Levels[0]
	for _, x := range h264Levels {
		if x.idc <= idc {
			l = x
		}
	}
	return l, true
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
