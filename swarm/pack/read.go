package pack

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
)

// source counts and hashes what is read of the pack.
type source struct {
	r   *bufio.Reader
	sum hash.Hash // nil: not hashed
	n   int64
	max int64
	one [1]byte
}

func (s *source) ReadByte() (byte, error) {
	b, err := s.r.ReadByte()
	if err != nil {
		return 0, err
	}
	if s.n++; s.n > s.max {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrTooBig, s.max)
	}
	if s.sum != nil {
		s.one[0] = b
		s.sum.Write(s.one[:])
	}
	return b, nil
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if s.n += int64(n); s.n > s.max {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrTooBig, s.max)
	}
	if s.sum != nil {
		s.sum.Write(p[:n])
	}
	return n, err
}

// delta is an object that is told as the difference to another.
type delta struct {
	offset int64 // of the base in the pack; 0 if it is named by base
	base   plumbing.Hash
	data   []byte
}

// Codes of the deltas among the types of a pack's entries.
const (
	ofsDelta = 6
	refDelta = 7
)

// Read reads a whole pack. base finds objects outside of it that deltas may be made against; nil knows none.
// progress, if not nil, is told how many of how many objects have come. The error wraps ErrMalformed, also for
// a wrong checksum, ErrTooBig beyond the limits, or is r's; no object is returned then.
func Read(r io.Reader, limits Limits, base func(plumbing.Hash) (Object, bool), progress func(done, total int)) (map[plumbing.Hash]Object, error) {
	limits = limits.orDefault()
	p := &reader{
		limits: limits,
		src:    &source{r: bufio.NewReader(r), sum: sha1.New(), max: limits.Stream},
		byPos:  map[int64]plumbing.Hash{}, out: map[plumbing.Hash]Object{}, deltas: map[int64]delta{}, base: base,
	}
	if err := p.read(progress); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = malformed("it ends too early")
		}
		return nil, err
	}
	return p.out, nil
}

// headSize is how long the beginning of a pack is, before its first entry.
const headSize = 12

type reader struct {
	limits   Limits
	src      *source
	inflate  io.ReadCloser
	scratch  bytes.Buffer // of the object that is being read
	inflated int64
	byPos    map[int64]plumbing.Hash
	out      map[plumbing.Hash]Object
	deltas   map[int64]delta
	base     func(plumbing.Hash) (Object, bool)
}

func (p *reader) read(progress func(done, total int)) error {
	var head [headSize]byte
	if _, err := io.ReadFull(p.src, head[:]); err != nil {
		return err
	}
	if string(head[:4]) != "PACK" || binary.BigEndian.Uint32(head[4:]) != 2 {
		return malformed("not a pack of version 2")
	}
	count := int64(binary.BigEndian.Uint32(head[8:]))
	if count > int64(p.limits.Objects) {
		return fmt.Errorf("%w: %d objects", ErrTooBig, count)
	}
	for i := range count {
		pos := p.src.n
		kind, d, data, err := p.entry()
		if err != nil {
			return err
		}
		if kind >= ofsDelta {
			p.deltas[pos] = d
		} else {
			p.keep(pos, Object{plumbing.ObjectType(kind), data})
		}
		if progress != nil && (i+1 == count || i%256 == 255) {
			progress(int(i+1), int(count))
		}
	}
	want := p.src.sum.Sum(nil)
	got := make([]byte, sha1.Size)
	if _, err := io.ReadFull(p.src.r, got); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return malformed("wrong checksum")
	}
	return p.resolve()
}

// entry reads one entry: type and size, the base of a delta, compressed bytes. What it returns is a delta if
// kind says so, else data.
func (p *reader) entry() (kind byte, d delta, data []byte, err error) {
	pos := p.src.n
	b, err := p.src.ReadByte()
	if err != nil {
		return 0, d, nil, err
	}
	kind = b >> 4 & 7
	size := int64(b & 15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = p.src.ReadByte(); err != nil {
			return 0, d, nil, err
		}
		if shift > 40 {
			return 0, d, nil, malformed("size of an object")
		}
		size |= int64(b&0x7f) << shift
	}
	if size > p.limits.Object {
		return 0, d, nil, fmt.Errorf("%w: an object of %d bytes", ErrTooBig, size)
	}
	switch kind {
	case 1, 2, 3: // commit, tree, blob
	case ofsDelta:
		back, err := p.readOffset()
		if err != nil {
			return 0, d, nil, err
		}
		if back <= 0 || back > pos-headSize {
			return 0, d, nil, malformed("a delta's base is outside of the pack")
		}
		d.offset = pos - back
	case refDelta:
		if _, err := io.ReadFull(p.src, d.base[:]); err != nil {
			return 0, d, nil, err
		}
	default:
		return 0, d, nil, malformed("object of type %d", kind)
	}
	data, err = p.inflateNext(size)
	d.data = data
	return kind, d, data, err
}

func (p *reader) keep(pos int64, o Object) plumbing.Hash {
	id := o.ID()
	p.byPos[pos] = id
	p.out[id] = o
	return id
}

func (p *reader) readOffset() (int64, error) {
	b, err := p.src.ReadByte()
	if err != nil {
		return 0, err
	}
	n := int64(b & 0x7f)
	for b&0x80 != 0 {
		if n > 1<<40 {
			return 0, malformed("offset of a delta's base")
		}
		if b, err = p.src.ReadByte(); err != nil {
			return 0, err
		}
		n = (n+1)<<7 | int64(b&0x7f)
	}
	return n, nil
}

// perObject is what an object takes of memory beside its bytes, in the maps that find it.
const perObject = 200

// charge counts bytes against the limit for all objects.
func (p *reader) charge(n int64) error {
	if p.inflated += n; p.inflated > p.limits.Inflated {
		return fmt.Errorf("%w: its objects have more than %d bytes", ErrTooBig, p.limits.Inflated)
	}
	return nil
}

func (p *reader) inflateNext(size int64) ([]byte, error) {
	if err := p.charge(size + perObject); err != nil {
		return nil, err
	}
	var err error
	if p.inflate == nil {
		p.inflate, err = zlib.NewReader(p.src)
	} else {
		err = p.inflate.(zlib.Resetter).Reset(p.src, nil)
	}
	if err != nil {
		return nil, inflateError(err)
	}
	// The buffer grows with what really comes, not with what is claimed, and is kept: most objects are small, and would
	// each hold on to half a kilobyte of it.
	p.scratch.Reset()
	n, err := io.Copy(&p.scratch, io.LimitReader(p.inflate, size+1))
	if err != nil {
		return nil, inflateError(err)
	}
	if n != size {
		return nil, malformed("an object is not as long as it says")
	}
	return bytes.Clone(p.scratch.Bytes()), nil
}

func inflateError(err error) error {
	if errors.Is(err, ErrTooBig) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return err
	}
	return malformed("compressed data: %w", err)
}

// resolve applies the deltas. Bases may be deltas themselves and stand anywhere:
// each delta is tried when its base is there, so all of them take one pass.
func (p *reader) resolve() error {
	byPos := map[int64][]int64{}
	byID := map[plumbing.Hash][]int64{}
	var ready []int64
	for pos, d := range p.deltas {
		switch _, ok := p.baseOf(d); {
		case ok:
			ready = append(ready, pos)
		case d.offset != 0:
			byPos[d.offset] = append(byPos[d.offset], pos)
		default:
			byID[d.base] = append(byID[d.base], pos)
		}
	}
	for len(ready) > 0 {
		pos := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		base, _ := p.baseOf(p.deltas[pos])
		data, err := p.apply(base.Data, p.deltas[pos].data)
		if err != nil {
			return err
		}
		delete(p.deltas, pos)
		id := p.keep(pos, Object{base.Type, data})
		ready = append(append(ready, byPos[pos]...), byID[id]...)
		delete(byPos, pos)
		delete(byID, id)
	}
	if len(p.deltas) > 0 {
		return malformed("%d deltas without base", len(p.deltas))
	}
	return nil
}

func (p *reader) baseOf(d delta) (Object, bool) {
	id := d.base
	if d.offset != 0 {
		var ok bool
		if id, ok = p.byPos[d.offset]; !ok {
			return Object{}, false
		}
	}
	if o, ok := p.out[id]; ok {
		return o, true
	}
	if d.offset == 0 && p.base != nil {
		return p.base(id)
	}
	return Object{}, false
}

// apply makes an object out of its base and a delta.
func (p *reader) apply(base, d []byte) ([]byte, error) {
	bad := malformed("delta")
	from, n := binary.Uvarint(d)
	if n <= 0 || from != uint64(len(base)) {
		return nil, bad
	}
	d = d[n:]
	size, n := binary.Uvarint(d)
	if n <= 0 {
		return nil, bad
	}
	d = d[n:]
	if size > uint64(p.limits.Object) {
		return nil, fmt.Errorf("%w: an object of %d bytes", ErrTooBig, size)
	}
	if err := p.charge(int64(size)); err != nil {
		return nil, err
	}
	out := make([]byte, 0, size)
	for len(d) > 0 {
		op := d[0]
		d = d[1:]
		if op == 0 {
			return nil, bad
		}
		if op&0x80 == 0 { // new bytes
			if int(op) > len(d) || uint64(len(out)+int(op)) > size {
				return nil, bad
			}
			out = append(out, d[:op]...)
			d = d[op:]
			continue
		}
		var v [7]uint64 // four bytes of offset, three of length
		for i := range v {
			if op>>i&1 == 1 {
				if len(d) == 0 {
					return nil, bad
				}
				v[i] = uint64(d[0])
				d = d[1:]
			}
		}
		at := v[0] | v[1]<<8 | v[2]<<16 | v[3]<<24
		length := v[4] | v[5]<<8 | v[6]<<16
		if length == 0 {
			length = 0x10000
		}
		if at+length > uint64(len(base)) || uint64(len(out))+length > size {
			return nil, bad
		}
		out = append(out, base[at:at+length]...)
	}
	if uint64(len(out)) != size {
		return nil, bad
	}
	return out, nil
}
