// Package pack reads and writes git packs as streams, within bounds: what a
// stranger sends costs no more memory than the Limits say, whatever sizes and
// deltas it claims.
package pack

import (
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
)

// Object is a git object: a commit, tree or blob, and its bytes.
type Object struct {
	Type plumbing.ObjectType
	Data []byte
}

// ID is the object's hash. It is computed with collision detection.
func (o Object) ID() plumbing.Hash { return plumbing.ComputeHash(o.Type, o.Data) }

// Limits bound what is read. Zero values mean DefaultLimits.
type Limits struct {
	Stream   int64 // bytes of the pack
	Inflated int64 // bytes of all objects together
	Object   int64 // bytes of one object
	Objects  int
}

// DefaultLimits are as wide as those of daemons (256 MiB for one fetch).
var DefaultLimits = Limits{Stream: 256 << 20, Inflated: 256 << 20, Object: 8 << 20, Objects: 1 << 20}

func (l Limits) orDefault() Limits {
	def := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.Stream, DefaultLimits.Stream)
	def(&l.Inflated, DefaultLimits.Inflated)
	def(&l.Object, DefaultLimits.Object)
	if l.Objects == 0 {
		l.Objects = DefaultLimits.Objects
	}
	return l
}

// Errors of Read.
var (
	ErrMalformed = errors.New("malformed pack")
	ErrTooBig    = errors.New("pack too big")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
}
