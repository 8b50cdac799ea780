package codec

import "encoding/binary"

// l16Encoder gives the samples as they are, big-endian (RFC 3551 §4.5.11), for taps
// that want the mix itself.
type l16Encoder struct{}

func (l16Encoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	for _, v := range pcm {
		dst = binary.BigEndian.AppendUint16(dst, uint16(v))
	}
	return dst, nil
}

func (l16Encoder) Follow(Encoder) bool { return true }

func (l16Encoder) Reset() {}
func (l16Encoder) Close() {}
