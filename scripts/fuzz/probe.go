package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
)

// probe measures what inputs of a fuzz test cover.
type probe struct {
	t       target
	program string // the package's tests, built with coverage of the package
	mirror  string // the package's folder as far as its tests see it, with a testdata/fuzz of its own
	profile string
}

// newProbe builds the tests of a target's package, if that was not done before with the same temp.
func newProbe(ctx context.Context, t target, temp string) (*probe, error) {
	dir, err := os.MkdirTemp(temp, t.name)
	if err != nil {
		return nil, err
	}
	program := filepath.Join(temp, url.PathEscape(t.pkg)+".test")
	p := &probe{t, program, filepath.Join(dir, "mirror"), filepath.Join(dir, "profile")}
	if _, err := os.Stat(program); err != nil {
		if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-cover", "-o", program, t.pkg).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the tests: %w\n%s", err, out)
		}
	}
	return p, p.link()
}

// link makes the mirror.
func (p *probe) link() error {
	testdata := filepath.Join(p.t.dir, "testdata")
	if err := os.MkdirAll(filepath.Join(p.mirror, "testdata", "fuzz"), 0o755); err != nil {
		return err
	}
	if err := symlinks(p.t.dir, p.mirror, "testdata"); err != nil {
		return err
	}
	if _, err := os.Stat(testdata); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return symlinks(testdata, filepath.Join(p.mirror, "testdata"), "fuzz")
}

// symlinks makes a link in one folder to each thing in another but the one.
func symlinks(from, to, but string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == but {
			continue
		}
		if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// cover runs the seeds of the fuzz test and more inputs, and tells what they cover.
func (p *probe) cover(ctx context.Context, more []input) (coverage, error) {
	corpus := filepath.Join(p.mirror, "testdata", "fuzz", p.t.name)
	if err := os.RemoveAll(corpus); err != nil {
		return nil, err
	}
	if err := os.Mkdir(corpus, 0o755); err != nil {
		return nil, err
	}
	seeds, err := inputs(p.t.seeds())
	if err != nil {
		return nil, err
	}
	for _, in := range append(seeds, more...) {
		// The same name is the same content: go test names inputs by their hashes.
		if err := os.Symlink(in.path, filepath.Join(corpus, filepath.Base(in.path))); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, p.program, "-test.run", "^"+p.t.name+"$", "-test.timeout", "10m", "-test.coverprofile", p.profile)
	cmd.Dir = p.mirror
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	text, err := os.ReadFile(p.profile)
	if err != nil {
		return nil, err
	}
	return parseProfile(string(text))
}
