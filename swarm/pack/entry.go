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
	return NewEntries(r, find).At(offset)
}

// Entries reads objects of one pack, any number of them: what EntryAt needs anew for each, some 50 kB, is made once. It is for
// one goroutine.
type Entries struct {
	r    io.ReaderAt
	find func(plumbing.Hash) (int64, bool)
	p    *reader
}

// NewEntries returns a reader of the pack r; find is as for EntryAt.
func NewEntries(r io.ReaderAt, find func(plumbing.Hash) (int64, bool)) *Entries {
	return &Entries{r, find, &reader{limits: stored, src: &source{r: bufio.NewReader(nil), max: math.MaxInt64}}}
}

// At is EntryAt.
func (e *Entries) At(offset int64) (o Object, next int64, err error) {
	o, next, err = e.at(offset, 0)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = malformed("it ends too early")
	}
	return o, next, err
}

func (e *Entries) at(offset int64, depth int) (Object, int64, error) {
	if offset < headSize || depth > maxChain {
		return Object{}, 0, malformed("no object can be at %d", offset)
	}
	p := e.p
	p.src.r.Reset(io.NewSectionReader(e.r, offset, math.MaxInt64-offset))
	p.src.n, p.inflated = offset, 0
	kind, d, data, err := p.entry()
	if err != nil {
		return Object{}, 0, err
	}
	next := p.src.n
	if kind < ofsDelta {
		return Object{plumbing.ObjectType(kind), data}, next, nil
	}
	at := d.offset
	if kind == refDelta {
		var ok bool
		if at, ok = e.find(d.base); !ok {
			return Object{}, 0, malformed("a delta without base")
		}
	}
	base, _, err := e.at(at, depth+1)
	if err != nil {
		return Object{}, 0, err
	}
	if data, err = p.apply(base.Data, d.data); err != nil {
		return Object{}, 0, err
	}
	return Object{base.Type, data}, next, nil
}
