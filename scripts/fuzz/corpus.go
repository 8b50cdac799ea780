package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Bounds of what is kept of one fuzz test, what was kept before included: every `go test`
// runs it, and every clone has it.
const (
	maxInputs     = 40
	maxBytes      = 64 << 10
	maxInputBytes = 8 << 10
)

// input is a file of a corpus.
type input struct {
	path string
	size int
}

// inputs are the files of a corpus, the smallest first; none if there is no such folder.
func inputs(dir string) ([]input, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []input
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() {
			out = append(out, input{filepath.Join(dir, e.Name()), int(info.Size())})
		}
	}
	slices.SortStableFunc(out, func(a, b input) int { return cmp.Compare(a.size, b.size) })
	return out, nil
}

// keep copies those of the found inputs that add to what the seeds cover to the seeds, and
// tells how many.
func keep(ctx context.Context, p *probe, seeds coverage, found []input) (int, error) {
	// Once more, so that what the seeds cover only at times is no input's gain.
	again, err := p.cover(ctx, nil)
	if err != nil {
		return 0, err
	}
	had, err := inputs(p.t.seeds())
	if err != nil {
		return 0, err
	}
	c := chooser{cover: func(in []input) (coverage, error) { return p.cover(ctx, in) }, covered: seeds.or(again), count: len(had)}
	for _, in := range had {
		c.bytes += in.size
	}
	found = slices.DeleteFunc(slices.Clone(found), func(in input) bool { return in.size > maxInputBytes })
	if err := c.choose(found); err != nil {
		return 0, err
	}
	if len(c.chosen) == 0 {
		return 0, nil
	}
	if err := os.MkdirAll(p.t.seeds(), 0o755); err != nil {
		return 0, err
	}
	for _, in := range c.chosen {
		content, err := os.ReadFile(in.path)
		if err != nil {
			return 0, err
		}
		if err := os.WriteFile(filepath.Join(p.t.seeds(), filepath.Base(in.path)), content, 0o644); err != nil {
			return 0, err
		}
	}
	return len(c.chosen), nil
}

// chooser picks the inputs that cover what those before them do not.
type chooser struct {
	cover        func([]input) (coverage, error) // of inputs and seeds together
	covered      coverage                        // by the seeds and what is chosen
	chosen       []input
	count, bytes int // of seeds that are files, and what is chosen
}

// choose looks at inputs in their order. Most add nothing, so that halves of them are looked
// at as one.
func (c *chooser) choose(in []input) error {
	if len(in) == 0 || c.count >= maxInputs || len(in) == 1 && c.bytes+in[0].size > maxBytes {
		return nil
	}
	got, err := c.cover(in)
	if err != nil || !got.adds(c.covered) {
		return err
	}
	if half := len(in) / 2; half > 0 {
		if err := c.choose(in[:half]); err != nil {
			return err
		}
		return c.choose(in[half:])
	}
	// What one run covers and the next does not is chance.
	again, err := c.cover(in)
	if err != nil || !got.and(again).adds(c.covered) {
		return err
	}
	c.covered = c.covered.or(got)
	c.chosen = append(c.chosen, in[0])
	c.count, c.bytes = c.count+1, c.bytes+in[0].size
	return nil
}
