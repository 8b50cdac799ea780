package pack

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math"

	"github.com/go-git/go-git/v5/plumbing"
)

// maxChain bounds how many deltas an object is made of: a damaged one may name itself as its base.
const maxChain = 1000

// stored are the limits for packs on our own disk: they were checked when they came.
var stored = Limits{Stream: math.MaxInt64, Inflated: math.MaxInt64, Object: 1 << 30}

// Count reads how many entries a pack on the disk says it has. The first begins at FirstEntry. The
// error wraps ErrMalformed for what is no pack of version 2, or is r's.
func Count(r io.ReaderAt) (int, error) {
	var head [headSize]byte
	if _, err := r.ReadAt(head[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if string(head[:4]) != "PACK" || binary.BigEndian.Uint32(head[4:]) != 2 {
		return 0, malformed("not a pack of version 2")
	}
	return int(binary.BigEndian.Uint32(head[8:])), nil
}

// FirstEntry is the offset of a pack's first entry.
const FirstEntry = headSize

// EntryAt reads the object whose entry begins at an offset of a pack, and tells where the next one
// begins. find finds an object by its id in the same pack, as the base of a delta. The error wraps
// ErrMalformed, ErrTooBig for an object beyond DefaultLimits, or is r's.
func EntryAt(r io.ReaderAt, offset int64, find func(plumbing.Hash) (int64, bool)) (o Object, next int64, err error) {
	o, next, err = entryAt(r, offset, find, 0)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = malformed("it ends too early")
	}
	return o, next, err
}

func entryAt(r io.ReaderAt, offset int64, find func(plumbing.Hash) (int64, bool), depth int) (Object, int64, error) {
	if offset < headSize || depth > maxChain {
		return Object{}, 0, malformed("no object can be at %d", offset)
	}
	p := &reader{limits: stored, src: &source{r: bufio.NewReader(io.NewSectionReader(r, offset, math.MaxInt64-offset)), n: offset, max: math.MaxInt64}}
	kind, d, data, err := p.entry()
	if err != nil {
		return Object{}, 0, err
	}
	if kind < ofsDelta {
		return Object{plumbing.ObjectType(kind), data}, p.src.n, nil
	}
	at := d.offset
	if kind == refDelta {
		var ok bool
		if at, ok = find(d.base); !ok {
			return Object{}, 0, malformed("a delta without base")
		}
	}
	base, _, err := entryAt(r, at, find, depth+1)
	if err != nil {
		return Object{}, 0, err
	}
	if data, err = p.apply(base.Data, d.data); err != nil {
		return Object{}, 0, err
	}
	return Object{base.Type, data}, p.src.n, nil
}
