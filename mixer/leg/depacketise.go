package leg

import "errors"

// A depacketiser turns RTP payloads of one picture, in order, into what the
// decoder takes: Annex B for H.264 and H.265, the bare frame for VP8.
type depacketiser interface {
	// append adds one payload to the picture in dst.
	append(dst, payload []byte) ([]byte, error)
	// begins reports whether the payload is certainly the first of a picture.
	begins(payload []byte) bool
	// key reports whether a picture that begins with this payload can be decoded
	// without earlier ones. It may look only at the first packets.
	key(picture []byte) bool
}

func newDepacketiser(codec string) (depacketiser, error) {
	switch codec {
	case "H264":
		return h264Depacketiser{}, nil
	case "H265":
		return h265Depacketiser{}, nil
	case "VP8":
		return vp8Depacketiser{}, nil
	}
	return nil, errors.New("no depacketiser for " + codec)
}

var (
	errShortPayload = errors.New("RTP payload too short")
	errPayloadType  = errors.New("RTP payload structure not supported")
)

var startCode = []byte{0, 0, 0, 1}

// h264Depacketiser understands single NAL units, STAP-A and FU-A, that is
// packetization-modes 0 and 1 (RFC 6184 §5.6, §5.7.1, §5.8).
type h264Depacketiser struct{}

func (h264Depacketiser) append(dst, p []byte) ([]byte, error) {
	if len(p) < 1 {
		return dst, errShortPayload
	}
	switch t := p[0] & 0x1f; {
	case t >= 1 && t <= 23:
		return append(append(dst, startCode...), p...), nil
	case t == 24: // STAP-A
		return appendAggregate(dst, p[1:])
	case t == 28: // FU-A
		if len(p) < 3 {
			return dst, errShortPayload
		}
		if p[1]&0x80 != 0 {
			dst = append(append(dst, startCode...), p[0]&0xe0|p[1]&0x1f)
		}
		return append(dst, p[2:]...), nil
	}
	return dst, errPayloadType
}

// begins looks for what precedes the first slice (SEI, parameter sets, delimiter), or a
// slice whose first_mb_in_slice is 0.
func (h264Depacketiser) begins(p []byte) bool {
	if len(p) > 3 && p[0]&0x1f == 24 {
		p = p[3:]
	}
	if len(p) < 2 {
		return false
	}
	switch t := p[0] & 0x1f; {
	case t >= 6 && t <= 9:
		return true
	case t == 1 || t == 5:
		return p[1]&0x80 != 0
	case t == 28:
		return p[1]&0x80 != 0 && len(p) > 2 && p[2]&0x80 != 0
	}
	return false
}

// key looks for an IDR slice or a sequence parameter set before the first slice.
func (h264Depacketiser) key(picture []byte) bool {
	return scanNAL(picture, func(nal []byte) (found, more bool) {
		switch nal[0] & 0x1f {
		case 5, 7:
			return true, false
		case 1:
			return false, false
		}
		return false, true
	})
}

// h265Depacketiser understands single NAL units, APs and FUs without DONL fields (RFC 7798 §4.4).
type h265Depacketiser struct{}

func (h265Depacketiser) append(dst, p []byte) ([]byte, error) {
	if len(p) < 3 {
		return dst, errShortPayload
	}
	switch t := p[0] >> 1 & 0x3f; {
	case t < 48:
		return append(append(dst, startCode...), p...), nil
	case t == 48:
		return appendAggregate(dst, p[2:])
	case t == 49:
		if p[2]&0x80 != 0 {
			dst = append(append(dst, startCode...), p[0]&0x81|p[2]&0x3f<<1, p[1])
		}
		return append(dst, p[3:]...), nil
	}
	return dst, errPayloadType
}

// begins looks for parameter sets, a delimiter or first_slice_segment_in_pic_flag.
func (h265Depacketiser) begins(p []byte) bool {
	if len(p) > 4 && p[0]>>1&0x3f == 48 {
		p = p[4:]
	}
	if len(p) < 3 {
		return false
	}
	switch t := p[0] >> 1 & 0x3f; {
	case t >= 32 && t <= 35, t == 39:
		return true
	case t < 32:
		return p[2]&0x80 != 0
	case t == 49:
		return p[2]&0x80 != 0 && len(p) > 3 && p[3]&0x80 != 0
	}
	return false
}

// key looks for an intra random access slice (types 16 to 23) or a parameter set.
func (h265Depacketiser) key(picture []byte) bool {
	return scanNAL(picture, func(nal []byte) (found, more bool) {
		switch t := nal[0] >> 1 & 0x3f; {
		case t >= 16 && t <= 23, t >= 32 && t <= 34:
			return true, false
		case t < 16:
			return false, false
		}
		return false, true
	})
}

// appendAggregate adds the NAL units of an aggregation packet, each after 16 bits of length.
func appendAggregate(dst, p []byte) ([]byte, error) {
	for len(p) > 0 {
		if len(p) < 2 {
			return dst, errShortPayload
		}
		n := int(p[0])<<8 | int(p[1])
		p = p[2:]
		if n == 0 || n > len(p) {
			return dst, errShortPayload
		}
		dst = append(append(dst, startCode...), p[:n]...)
		p = p[n:]
	}
	return dst, nil
}

// scanNAL calls visit for each NAL unit of an Annex B picture until it says stop.
// The slices reach to the end of the picture.
func scanNAL(picture []byte, visit func(nal []byte) (found, more bool)) bool {
	for i := 0; i+4 < len(picture); i++ {
		if picture[i] != 0 || picture[i+1] != 0 || picture[i+2] != 0 || picture[i+3] != 1 {
			continue
		}
		found, more := visit(picture[i+4:])
		if !more {
			return found
		}
		i += 4
	}
	return false
}

// vp8Depacketiser strips the payload descriptor of RFC 7741 §4.2.
type vp8Depacketiser struct{}

func (vp8Depacketiser) append(dst, p []byte) ([]byte, error) {
	if len(p) < 2 {
		return dst, errShortPayload
	}
	n := 1
	if p[0]&0x80 != 0 { // X
		x := p[1]
		n = 2
		if x&0x80 != 0 { // I: PictureID of 7 or 15 bits
			if len(p) <= n {
				return dst, errShortPayload
			}
			if p[n]&0x80 != 0 {
				n++
			}
			n++
		}
		if x&0x40 != 0 { // L: TL0PICIDX
			n++
		}
		if x&0x30 != 0 { // T or K: TID/KEYIDX
			n++
		}
	}
	if n >= len(p) {
		return dst, errShortPayload
	}
	return append(dst, p[n:]...), nil
}

// begins looks for the start of partition 0.
func (vp8Depacketiser) begins(p []byte) bool { return len(p) > 0 && p[0]&0x1f == 0x10 }

// key reads the inverse key frame flag of the frame tag (RFC 6386 §9.1).
func (vp8Depacketiser) key(picture []byte) bool {
	return len(picture) > 0 && picture[0]&1 == 0
}
