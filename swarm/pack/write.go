package pack

import (
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
)

// Writer writes a pack object by object: without deltas, which neither daemons
// nor git need, and without keeping anything.
type Writer struct {
	out  io.Writer
	w    io.Writer // out and sum
	sum  hash.Hash
	z    *zlib.Writer
	left int
}

// NewWriter begins a pack of count objects. The error is w's.
func NewWriter(w io.Writer, count int) (*Writer, error) {
	p := &Writer{out: w, sum: sha1.New(), left: count}
	p.w = io.MultiWriter(w, p.sum)
	p.z = zlib.NewWriter(p.w)
	head := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(count))
	if _, err := p.w.Write(head); err != nil {
		return nil, fmt.Errorf("writing a pack: %w", err)
	}
	return p, nil
}

// Add writes the next object, whole: no deltas are made. The error is the writer's, after
// which the pack is worth nothing.
func (p *Writer) Add(o Object) error {
	size := len(o.Data)
	b := byte(o.Type)<<4 | byte(size&15)
	var head []byte
	for size >>= 4; size > 0; size >>= 7 {
		head = append(head, b|0x80)
		b = byte(size & 0x7f)
	}
	head = append(head, b)
	if _, err := p.w.Write(head); err != nil {
		return fmt.Errorf("writing a pack: %w", err)
	}
	p.z.Reset(p.w)
	if _, err := p.z.Write(o.Data); err != nil {
		return fmt.Errorf("writing a pack: %w", err)
	}
	if err := p.z.Close(); err != nil {
		return fmt.Errorf("writing a pack: %w", err)
	}
	p.left--
	return nil
}

// Checksum is the pack's, by which git names it. It is known after Close.
func (p *Writer) Checksum() plumbing.Hash { return plumbing.Hash(p.sum.Sum(nil)) }

// Close writes the checksum. Exactly as many objects as announced must have been added;
// fewer are an error. It does not close what is written to.
func (p *Writer) Close() error {
	if p.left != 0 {
		return fmt.Errorf("writing a pack: %d objects are missing", p.left)
	}
	if _, err := p.out.Write(p.sum.Sum(nil)); err != nil {
		return fmt.Errorf("writing a pack: %w", err)
	}
	return nil
}
