// Package red makes and takes apart RTP payloads that repeat earlier ones (RED, RFC 2198).
package red

import "errors"

// MaxBlocks is how many blocks a payload may have that is taken apart, the primary one included.
const MaxBlocks = 8

// What a block's header can say (RFC 2198 section 3).
const (
	maxOffset = 1<<14 - 1
	maxLength = 1<<10 - 1
	headBytes = 4 // of a redundant block; the primary one's is a byte
)

// ErrMalformed is the reason a payload cannot be taken apart.
var ErrMalformed = errors.New("malformed RED payload")

// Block is one encoding in a payload.
type Block struct {
	PayloadType uint8
	Offset      uint32 // by which its timestamp lies before the packet's; 0 for the primary one
	Payload     []byte
}

// Split appends the blocks of a payload to dst, the oldest first and the primary one last; their payloads are parts of it. Redundant
// blocks without a payload are left out. After an error dst is as it was.
func Split(dst []Block, payload []byte) ([]Block, error) {
	out, rest := dst, payload
	lengths := [MaxBlocks]int{}
	n := 0
	for {
		if len(rest) == 0 || n == MaxBlocks {
			return dst, ErrMalformed
		}
		b := Block{PayloadType: rest[0] & 0x7f}
		if rest[0]&0x80 == 0 { // the primary one, which takes what is left
			rest = rest[1:]
			out = append(out, b)
			break
		}
		if len(rest) < headBytes {
			return dst, ErrMalformed
		}
		b.Offset = uint32(rest[1])<<6 | uint32(rest[2])>>2
		lengths[n] = int(rest[2]&3)<<8 | int(rest[3])
		n++
		out = append(out, b)
		rest = rest[headBytes:]
	}
	blocks := out[len(dst):]
	kept := 0
	for i, b := range blocks {
		length := len(rest)
		if i < n {
			length = lengths[i]
		}
		if length > len(rest) {
			return dst, ErrMalformed
		}
		b.Payload, rest = rest[:length], rest[length:]
		if length == 0 && i < n {
			continue
		}
		blocks[kept] = b
		kept++
	}
	return out[:len(dst)+kept], nil
}

// Redundant is how many blocks a payload has beside the primary one, by their headers alone.
func Redundant(payload []byte) int {
	n := 0
	for ; len(payload) >= headBytes && payload[0]&0x80 != 0; payload = payload[headBytes:] {
		n++
	}
	return n
}

// Append appends the payload of the given blocks to dst, the oldest first and the primary one last. Redundant
// blocks that are too old or too long for their header are left out.
func Append(dst []byte, blocks []Block) []byte {
	last := len(blocks) - 1
	for _, b := range blocks[:last] {
		if b.fits() {
			n := len(b.Payload)
			dst = append(dst, b.PayloadType|0x80, byte(b.Offset>>6), byte(b.Offset<<2)|byte(n>>8), byte(n))
		}
	}
	dst = append(dst, blocks[last].PayloadType&0x7f)
	for i, b := range blocks {
		if i == last || b.fits() {
			dst = append(dst, b.Payload...)
		}
	}
	return dst
}

func (b *Block) fits() bool { return b.Offset <= maxOffset && len(b.Payload) <= maxLength }
