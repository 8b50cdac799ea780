package msgpack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// maxDepth is how deep arrays and maps may nest in an object that [Reader.Skip] or [Reader.Raw] walks over.
const maxDepth = 8

// Errors a [Reader] reports, wrapped with the place.
var (
	ErrTruncated = errors.New("msgpack: input ends too early")
	ErrType      = errors.New("msgpack: another type than expected")
	ErrTooDeep   = errors.New("msgpack: nested too deep")
)

// Kind is the type of the next object in a [Reader].
type Kind uint8

// The kinds of objects. Invalid stands for the end of input, extension types and the one unused code.
const (
	Invalid Kind = iota
	Nil
	Bool
	Uint
	NegInt
	Float
	Str
	Bin
	Array
	Map
)

// Reader reads objects from a byte slice. The first error sticks: later reads return zero values, so a caller may read a
// whole structure and ask Err once. Slices it returns alias the input.
type Reader struct {
	buf []byte
	off int
	err error
}

// NewReader returns a Reader that begins at the first byte of b, and keeps b.
func NewReader(b []byte) *Reader { return &Reader{buf: b} }

// Err returns the first error met.
func (r *Reader) Err() error { return r.err }

// Fail makes the reader report err, unless it already failed.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// Len returns how many bytes are left.
func (r *Reader) Len() int { return len(r.buf) - r.off }

// Offset returns how many bytes were read.
func (r *Reader) Offset() int { return r.off }

// Kind tells what comes next without reading it.
func (r *Reader) Kind() Kind {
	if r.err != nil || r.off >= len(r.buf) {
		return Invalid
	}
	switch c := r.buf[r.off]; {
	case c < 0x80, c >= 0xcc && c <= 0xcf:
		return Uint
	case c >= 0xe0:
		return NegInt
	case c < 0x90, c == 0xde, c == 0xdf:
		return Map
	case c < 0xa0, c == 0xdc, c == 0xdd:
		return Array
	case c < 0xc0, c >= 0xd9 && c <= 0xdb:
		return Str
	case c == 0xc0:
		return Nil
	case c == 0xc2, c == 0xc3:
		return Bool
	case c >= 0xc4 && c <= 0xc6:
		return Bin
	case c == 0xca, c == 0xcb:
		return Float
	case c >= 0xd0 && c <= 0xd3:
		if r.off+1 < len(r.buf) && r.buf[r.off+1]&0x80 != 0 {
			return NegInt
		}
		return Uint
	default:
		return Invalid
	}
}

func (r *Reader) mismatch(want string) {
	if r.off >= len(r.buf) {
		r.Fail(ErrTruncated)
		return
	}
	r.Fail(fmt.Errorf("%w: want %s, have code %#02x at %d", ErrType, want, r.buf[r.off], r.off))
}

// take returns the next n bytes.
func (r *Reader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > r.Len() {
		r.Fail(ErrTruncated)
		return nil
	}
	p := r.buf[r.off : r.off+n : r.off+n]
	r.off += n
	return p
}

// number returns the n-byte big-endian number that follows the type code, both consumed.
func (r *Reader) number(n int) uint64 {
	p := r.take(1 + n)
	if p == nil {
		return 0
	}
	var u uint64
	for _, c := range p[1:] {
		u = u<<8 | uint64(c)
	}
	return u
}

// Map reads a map header and returns its number of pairs.
func (r *Reader) Map() int {
	if r.Kind() != Map {
		r.mismatch("map")
		return 0
	}
	return r.count(0x80, 0xde, 2)
}

// Array reads an array header and returns its number of elements.
func (r *Reader) Array() int {
	if r.Kind() != Array {
		r.mismatch("array")
		return 0
	}
	return r.count(0x90, 0xdc, 1)
}

// count reads a map or array header; least is the smallest size of one entry in bytes.
func (r *Reader) count(fix, wide byte, least int) int {
	var n uint64
	switch c := r.buf[r.off]; c {
	case wide:
		n = r.number(2)
	case wide + 1:
		n = r.number(4)
	default:
		r.off++
		n = uint64(c &^ fix)
	}
	if r.err == nil && n > uint64(r.Len()/least) {
		r.Fail(ErrTruncated)
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

// Uint reads an integer that is not negative, in any of its forms.
func (r *Reader) Uint() uint64 {
	if r.Kind() != Uint {
		r.mismatch("unsigned integer")
		return 0
	}
	c := r.buf[r.off]
	switch {
	case c < 0x80:
		r.off++
		return uint64(c)
	case c >= 0xcc && c <= 0xcf:
		return r.number(1 << (c - 0xcc))
	default:
		return r.number(1 << (c - 0xd0))
	}
}

// UintMax reads an integer of at most max.
func (r *Reader) UintMax(max uint64) uint64 {
	u := r.Uint()
	if r.err == nil && u > max {
		r.Fail(fmt.Errorf("%w: number %d above %d", ErrType, u, max))
		return 0
	}
	return u
}

// Int reads an integer that fits an int64.
func (r *Reader) Int() int64 {
	if r.Kind() != NegInt {
		return int64(r.UintMax(math.MaxInt64))
	}
	c := r.buf[r.off]
	if c >= 0xe0 {
		r.off++
		return int64(int8(c))
	}
	n := 1 << (c - 0xd0)
	shift := 64 - 8*n
	return int64(r.number(n)<<shift) >> shift
}

// Bool reads a boolean.
func (r *Reader) Bool() bool {
	if r.Kind() != Bool {
		r.mismatch("bool")
		return false
	}
	r.off++
	return r.buf[r.off-1] == 0xc3
}

// Str reads a str, copied. It fails (Err) for anything else, a bin too.
func (r *Reader) Str() string {
	if r.Kind() != Str {
		r.mismatch("str")
		return ""
	}
	return string(r.raw())
}

// Bytes reads a bin.
func (r *Reader) Bytes() []byte {
	if r.Kind() != Bin {
		r.mismatch("bin")
		return nil
	}
	return r.raw()
}

// Blob reads a blob the way OpenDHT does: from a bin, a str or an array of small integers.
func (r *Reader) Blob() []byte {
	switch r.Kind() {
	case Bin, Str:
		return r.raw()
	case Array:
		p := make([]byte, r.Array())
		for i := range p {
			p[i] = byte(r.UintMax(math.MaxUint8))
		}
		return p
	default:
		r.mismatch("blob")
		return nil
	}
}

// raw reads a bin or a str.
func (r *Reader) raw() []byte {
	var n uint64
	switch c := r.buf[r.off]; c {
	case 0xc4, 0xd9:
		n = r.number(1)
	case 0xc5, 0xda:
		n = r.number(2)
	case 0xc6, 0xdb:
		n = r.number(4)
	default:
		r.off++
		n = uint64(c & 0x1f)
	}
	if n > uint64(r.Len()) {
		r.Fail(ErrTruncated)
		return nil
	}
	return r.take(int(n))
}

// Key reads the key of a map entry. A key that is not a str is read over and comes back empty, as OpenDHT ignores it.
func (r *Reader) Key() string {
	if r.Kind() == Str {
		return string(r.raw())
	}
	r.Skip()
	return ""
}

// Raw reads the next object whatever it is and returns its bytes.
func (r *Reader) Raw() []byte {
	start := r.off
	r.Skip()
	if r.err != nil {
		return nil
	}
	return r.buf[start:r.off:r.off]
}

// Skip reads over the next object.
func (r *Reader) Skip() { r.skip(maxDepth) }

func (r *Reader) skip(depth int) {
	switch r.Kind() {
	case Nil, Bool:
		r.off++
	case Uint:
		r.Uint()
	case NegInt:
		r.Int()
	case Float:
		if r.buf[r.off] == 0xca {
			r.take(5)
		} else {
			r.take(9)
		}
	case Str, Bin:
		r.raw()
	case Array, Map:
		if depth == 0 {
			r.Fail(ErrTooDeep)
			return
		}
		var n int
		if r.Kind() == Map {
			n = 2 * r.Map()
		} else {
			n = r.Array()
		}
		for ; n > 0 && r.err == nil; n-- {
			r.skip(depth - 1)
		}
	default:
		r.mismatch("a known type")
	}
}

// Uint32 returns the 4 bytes p as a big-endian number: the form old OpenDHT nodes give transaction ids in.
func Uint32(p []byte) (uint32, bool) {
	if len(p) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(p), true
}
