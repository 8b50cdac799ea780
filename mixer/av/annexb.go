package av

import (
	"bytes"
	"iter"
)

// NALUnits walks the NAL units of an H.264 or H.265 byte stream (Annex B), without start
// codes and trailing zeros. Empty units are passed over; bytes before the first start code too.
func NALUnits(stream []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		rest, ok := afterStartCode(stream)
		for ok {
			unit := rest
			var next []byte
			if next, ok = afterStartCode(rest); ok {
				unit = rest[:len(rest)-len(next)-3]
			}
			rest = next
			unit = bytes.TrimRight(unit, "\x00")
			if len(unit) > 0 && !yield(unit) {
				return
			}
		}
	}
}

// afterStartCode is what follows the first 00 00 01 of b.
func afterStartCode(b []byte) ([]byte, bool) {
	i := bytes.Index(b, []byte{0, 0, 1})
	if i < 0 {
		return nil, false
	}
	return b[i+3:], true
}
