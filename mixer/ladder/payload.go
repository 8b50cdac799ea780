package ladder

import (
	"slices"

	"rendezvous/mixer/av"
)

// newUnit cuts one encoded picture into RTP payloads. Everything lies in one
// allocation; data is copied.
func newUnit(codec Codec, rung int, key bool, pts uint32, pictureID uint16, data []byte) *Unit {
	u := &Unit{Codec: codec, Rung: rung, Key: key, PTS: pts}
	switch codec {
	case H264:
		u.payloadsH264(data)
	case VP8:
		u.payloadsVP8(data, pictureID)
	}
	return u
}

// payloadsH264 follows RFC 6184: NAL units that fit go alone (§5.6), larger ones in
// FU-A fragments (§5.8) of about equal size. The encoder makes slices that fit, and
// parameter sets travel alone too, so that receivers without packetization-mode 1 can follow.
func (u *Unit) payloadsH264(data []byte) {
	count, extra := 0, 0
	for nal := range av.NALUnits(data) {
		n := fragments(len(nal)-1, MaxPayload-2)
		switch {
		case supplemental(nal):
		case len(nal) <= MaxPayload:
			count++
		default:
			count += n
			extra += len(nal) - 1 + 2*n
		}
	}
	buf := make([]byte, len(data), len(data)+extra)
	copy(buf, data)
	u.Data = buf[:len(data):len(data)]
	u.Payloads = make([][]byte, 0, count)
	for nal := range av.NALUnits(u.Data) {
		switch {
		case supplemental(nal):
		case len(nal) <= MaxPayload:
			u.Payloads = append(u.Payloads, slices.Clip(nal))
		default:
			buf = u.fragmentH264(buf, nal)
		}
	}
}

// supplemental says that a unit tells nothing a receiver needs: SEI (here x264's
// signature) and access unit delimiters.
func supplemental(nal []byte) bool {
	kind := nal[0] & 0x1f
	return kind == 6 || kind == 9
}

const (
	fuA      = 28
	fuAStart = 0x80
	fuAEnd   = 0x40
)

func (u *Unit) fragmentH264(buf, nal []byte) []byte {
	indicator, kind, rest := nal[0]&0xe0|fuA, nal[0]&0x1f, nal[1:]
	n := fragments(len(rest), MaxPayload-2)
	for i := range n {
		header := kind
		if i == 0 {
			header |= fuAStart
		}
		if i == n-1 {
			header |= fuAEnd
		}
		size := (len(rest) + n - i - 1) / (n - i)
		from := len(buf)
		buf = append(append(buf, indicator, header), rest[:size]...)
		rest = rest[size:]
		u.Payloads = append(u.Payloads, buf[from:len(buf):len(buf)])
	}
	return buf
}

// The VP8 payload descriptor of RFC 7741 §4.2 with a picture id of 15 bits.
const (
	vp8Descriptor = 4
	vp8Extended   = 0x80 // X
	vp8Start      = 0x10 // S: the first of a partition; the whole frame is sent as partition 0
	vp8PictureID  = 0x80 // I
	vp8LongID     = 0x80 // M
)

func (u *Unit) payloadsVP8(frame []byte, id uint16) {
	n := fragments(len(frame), MaxPayload-vp8Descriptor)
	buf := make([]byte, len(frame), 2*len(frame)+vp8Descriptor*n)
	copy(buf, frame)
	u.Data = buf[:len(frame):len(frame)]
	u.Payloads = make([][]byte, 0, n)
	rest := u.Data
	for i := range n {
		first := byte(vp8Extended)
		if i == 0 {
			first |= vp8Start
		}
		size := (len(rest) + n - i - 1) / (n - i)
		from := len(buf)
		buf = append(buf, first, vp8PictureID, vp8LongID|byte(id>>8), byte(id))
		buf = append(buf, rest[:size]...)
		rest = rest[size:]
		u.Payloads = append(u.Payloads, buf[from:len(buf):len(buf)])
	}
}

// fragments is how many pieces of at most size hold n bytes.
func fragments(n, size int) int { return (n + size - 1) / size }
