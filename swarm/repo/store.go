package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/internal/atomicfile"
	"rendezvous/swarm/pack"
)

// packFrom is how many new objects are stored as a pack rather than one by one.
const packFrom = 64

var (
	// ErrNotFound says that there is no such object.
	ErrNotFound = errors.New("no such object")
	// ErrDamaged says that what is on our disk of a conversation cannot be read, or is not what it was.
	ErrDamaged = errors.New("the conversation is damaged on our disk")
)

// store holds the objects of a repository on disk, as git does: in files of their own (loose.go), and in packs (packs.go).
// An object that it returns is the one that was asked for, by its hash.
type store struct {
	dir  string
	disk disk

	foreign bool       // another program may have it open, and put objects together meanwhile
	packing sync.Mutex // held while objects are put together

	mu     sync.Mutex // guards the rest, and the files
	packs  []*packed
	notes  []error // what could not be put in order, though all can be read
	bytes  int64   // of the objects, some more than they take; -1 until it is asked for
	single int     // objects that have files of their own, or a few more; -1 until they are counted
}

// size is how much of the disk the objects take, at most.
func (st *store) size() (int64, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.bytes >= 0 {
		return st.bytes, nil
	}
	var n int64
	err := filepath.WalkDir(filepath.Join(st.dir, "objects"), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measuring the objects: %w", err)
	}
	st.bytes = n
	return n, nil
}

// newStore makes a bare repository without objects.
func newStore(dir string) (*store, error) {
	if _, err := os.Lstat(filepath.Join(dir, "HEAD")); err == nil {
		return nil, fmt.Errorf("there is a repository in %s already", dir)
	}
	st := &store{dir: dir, disk: onDisk{}, bytes: -1, single: -1}
	return st, st.frame()
}

// frame makes what git needs to take a folder for a repository, as far as it is missing.
func (st *store) frame() error {
	for _, sub := range []string{"objects/pack", "refs/heads"} {
		if err := st.disk.MkdirAll(filepath.Join(st.dir, sub)); err != nil {
			return err
		}
	}
	if text, err := os.ReadFile(filepath.Join(st.dir, "HEAD")); err != nil || string(text) != headText {
		if err := st.disk.Write(filepath.Join(st.dir, "HEAD"), []byte(headText)); err != nil {
			return err
		}
	}
	config := filepath.Join(st.dir, "config")
	if info, err := os.Stat(config); err == nil && info.Size() > 0 { // somebody may have added to it
		return nil
	}
	return st.disk.Write(config, []byte("[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"))
}

// headText is git's file HEAD.
const headText = "ref: " + mainRef + "\n"

// openStore opens the repository in a folder; own says that nobody else has it open, and it may be put in order.
func openStore(dir string, own bool) (*store, error) {
	if info, err := os.Stat(filepath.Join(dir, "objects")); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%w: it has no folder of objects", ErrDamaged)
	}
	st := &store{dir: dir, disk: onDisk{}, foreign: !own, bytes: -1, single: -1}
	if own {
		if err := errors.Join(st.tidy(), st.frame()); err != nil {
			st.notes = append(st.notes, fmt.Errorf("the folder could not be put in order: %w", err))
		}
	}
	return st, st.loadPacks(own)
}

// tidy removes what a crash has left of files that were being written.
func (st *store) tidy() error {
	return filepath.WalkDir(st.dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return atomicfile.Tidy(path)
		case strings.HasPrefix(e.Name(), "tmp_") && e.Type().IsRegular(): // of git's, and of earlier hosts
			return st.disk.Forget(path)
		}
		return nil
	})
}

// get returns an object. The error wraps ErrNotFound if there is none, and ErrDamaged if it cannot be read.
func (st *store) get(id plumbing.Hash) (pack.Object, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	o, err := st.read(id)
	if st.foreign && errors.Is(err, ErrNotFound) && st.packsNew() && st.loadPacks(false) == nil { // it may be in one of them by now
		return st.read(id)
	}
	return o, err
}

// read looks for an object everywhere: what is damaged in one place may be whole in another.
func (st *store) read(id plumbing.Hash) (pack.Object, error) {
	o, err := st.readLoose(id)
	if err == nil {
		return o, nil
	}
	for _, p := range st.packs {
		at, ok := p.find(id)
		if !ok {
			if p.broken != nil && errors.Is(err, ErrNotFound) {
				err = fmt.Errorf("%w: object %s may have been in %s: %w", ErrDamaged, id, filepath.Base(p.path), p.broken)
			}
			continue
		}
		o, e := p.read(at)
		if e == nil && o.ID() != id {
			e = errors.New("it has another hash")
		}
		if e == nil {
			return o, nil
		}
		if errors.Is(err, ErrNotFound) {
			err = fmt.Errorf("%w: object %s in %s: %w", ErrDamaged, id, filepath.Base(p.path), e)
		}
	}
	return pack.Object{}, err
}

// bulk reads many objects of a store: its packs stay open, and what is in one of them is not looked for elsewhere before. It is for
// one goroutine, which closes it.
type bulk struct {
	st    *store
	files map[*packed]*os.File
	packs map[*packed]*pack.Entries
	loose inflater
}

func (st *store) bulk() *bulk {
	return &bulk{st: st, files: map[*packed]*os.File{}, packs: map[*packed]*pack.Entries{}}
}

// get is that of the store.
func (b *bulk) get(id plumbing.Hash) (pack.Object, error) {
	b.st.mu.Lock()
	packs := b.st.packs
	b.st.mu.Unlock()
	for _, p := range packs {
		at, ok := p.find(id)
		if !ok {
			continue
		}
		if b.packs[p] == nil {
			f, err := os.Open(p.path + ".pack")
			if err != nil {
				break
			}
			b.files[p], b.packs[p] = f, pack.NewEntries(f, p.find)
		}
		if o, _, err := b.packs[p].At(at); err == nil && o.ID() == id {
			return o, nil
		}
		break // it may be whole elsewhere
	}
	if o, err := b.st.readLooseWith(&b.loose, id); err == nil {
		return o, nil
	}
	return b.st.get(id)
}

func (b *bulk) close() {
	for _, f := range b.files {
		_ = f.Close() // it was only read
	}
}

// has reports whether an object is there, whole.
func (st *store) has(id plumbing.Hash) bool {
	_, err := st.get(id)
	return err == nil
}

// put stores new objects: a few as files of their own, many as a pack. They are
// on the disk when it returns.
func (st *store) put(objects []pack.Object) error {
	// Commits last: what they name is there before them.
	slices.SortStableFunc(objects, func(a, b pack.Object) int { return int(b.Type) - int(a.Type) })
	st.mu.Lock()
	defer st.mu.Unlock()
	var added int64
	for _, o := range objects {
		added += int64(len(o.Data))
	}
	if len(objects) >= packFrom {
		if err := st.putPack(len(objects), func(i int) (pack.Object, error) { return objects[i], nil }); err != nil {
			return err
		}
	} else {
		for _, o := range objects {
			if err := st.putLoose(o); err != nil {
				return fmt.Errorf("storing an object: %w", err)
			}
		}
		if st.single >= 0 {
			st.single += len(objects)
		}
	}
	if st.bytes >= 0 {
		st.bytes += added
	}
	return nil
}

// compact puts objects that have files of their own into a pack, if there are
// many: each costs a look-up and a block of the disk. Their files go when all of the pack has been read again. Tens of thousands
// take seconds, in which others can use the store; when ctx ends before, all is as it was.
func (st *store) compact(ctx context.Context, many int) error {
	st.packing.Lock()
	defer st.packing.Unlock()
	all, err := st.crowd(many)
	if err != nil || len(all) == 0 {
		return err
	}
	var z inflater
	var ids []plumbing.Hash
	for _, id := range all {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := st.readLooseWith(&z, id); err == nil { // what is damaged stays where it is
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	p, err := st.writePack(len(ids), func(i int) (pack.Object, error) {
		if ctx.Err() != nil {
			return pack.Object{}, ctx.Err()
		}
		return st.readLooseWith(&z, ids[i])
	})
	if err != nil {
		return fmt.Errorf("storing a pack: %w", err)
	}
	st.mu.Lock() // from now on they are found in the pack
	st.packs = append(st.packs, p)
	st.bytes = -1
	st.single -= len(ids)
	st.mu.Unlock()
	for _, id := range ids {
		if err := forgiving(st.disk.Forget(st.loosePath(id))); err != nil {
			return fmt.Errorf("after packing: %w", err)
		}
	}
	return nil
}

// crowd lists the objects that have files of their own if there are many, and none if not.
func (st *store) crowd(many int) ([]plumbing.Hash, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.single >= 0 && st.single < many {
		return nil, nil
	}
	all, err := st.loose()
	if err != nil {
		return nil, err
	}
	if st.single = len(all); st.single < many {
		return nil, nil
	}
	return all, nil
}

// each visits all objects that can be read, those that lie in several places several times.
func (st *store) each(visit func(plumbing.Hash, pack.Object)) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	ids, err := st.loose()
	if err != nil {
		return err
	}
	for _, p := range st.packs {
		ids = append(ids, p.ids()...)
	}
	for _, id := range ids {
		if o, err := st.read(id); err == nil {
			visit(id, o)
		}
	}
	return nil
}

// overlay is a store with objects that are not stored yet: quarantine.
type overlay struct {
	under getter // nil: nothing
	extra map[plumbing.Hash]pack.Object
}

func (o overlay) get(id plumbing.Hash) (pack.Object, error) {
	if x, ok := o.extra[id]; ok {
		return x, nil
	}
	if id == emptyBlob {
		return pack.Object{Type: plumbing.BlobObject}, nil
	}
	if o.under == nil {
		return pack.Object{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	return o.under.get(id)
}
