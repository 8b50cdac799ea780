package repo

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"rendezvous/swarm/pack"
)

// mainRef is the only branch.
const mainRef = plumbing.ReferenceName("refs/heads/main")

// packFrom is how many new objects are stored as a pack rather than one by one.
const packFrom = 64

// ErrNotFound says that there is no such object.
var ErrNotFound = errors.New("no such object")

// store holds the objects of a repository on disk, as git does.
type store struct {
	mu sync.Mutex // go-git's storage is for one goroutine
	s  *filesystem.Storage

	dir   string
	bytes int64 // of the objects, some more than they take; -1 until it is asked for
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
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(dir, "HEAD")); err == nil {
		return nil, fmt.Errorf("there is a repository in %s already", dir)
	}
	st := &store{s: filesystem.NewStorage(osfs.New(dir), cache.NewObjectLRU(8*cache.MiByte)), dir: dir, bytes: -1}
	for _, sub := range []string{"objects/pack", "refs/heads"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	config := "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	return st, st.s.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, mainRef))
}

func openStore(dir string) (*store, error) {
	if _, err := os.Stat(filepath.Join(dir, "objects")); err != nil {
		return nil, err
	}
	return &store{s: filesystem.NewStorage(osfs.New(dir), cache.NewObjectLRU(8*cache.MiByte)), dir: dir, bytes: -1}, nil
}

func (st *store) get(id plumbing.Hash) (pack.Object, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.read(id)
}

func (st *store) read(id plumbing.Hash) (pack.Object, error) {
	o, err := st.s.EncodedObject(plumbing.AnyObject, id)
	if err != nil {
		return pack.Object{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	r, err := o.Reader()
	if err != nil {
		return pack.Object{}, fmt.Errorf("object %s: %w", id, err)
	}
	defer r.Close()
	data := make([]byte, o.Size())
	if _, err := io.ReadFull(r, data); err != nil {
		return pack.Object{}, fmt.Errorf("object %s: %w", id, err)
	}
	return pack.Object{Type: o.Type(), Data: data}, nil
}

func (st *store) has(id plumbing.Hash) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.s.HasEncodedObject(id) == nil
}

// put stores new objects: a few as files of their own, many as a pack. They are
// on the disk when it returns.
func (st *store) put(objects []pack.Object) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.bytes >= 0 {
		for _, o := range objects {
			st.bytes += int64(len(o.Data))
		}
	}
	if len(objects) >= packFrom {
		return st.putPack(objects)
	}
	for _, o := range objects {
		if err := st.putLoose(o); err != nil {
			return fmt.Errorf("storing an object: %w", err)
		}
	}
	return nil
}

// putLoose writes one object as git does, and flushes it, which go-git does not:
// the branch must not name an object that a power cut took away.
func (st *store) putLoose(o pack.Object) error {
	id := o.ID().String()
	folder := filepath.Join(st.dir, "objects", id[:2])
	path := filepath.Join(folder, id[2:])
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	fmt.Fprintf(z, "%s %d\x00", o.Type, len(o.Data))
	z.Write(o.Data) // a bytes.Buffer takes all
	if err := z.Close(); err != nil {
		return err
	}
	return replaceFile(path, b.Bytes())
}

// replaceFile writes a file so that it is there whole or not at all.
func replaceFile(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "tmp_*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}

func (st *store) putPack(objects []pack.Object) error {
	w, err := st.s.PackfileWriter()
	if err != nil {
		return fmt.Errorf("storing a pack: %w", err)
	}
	p, err := pack.NewWriter(w, len(objects))
	for _, o := range objects {
		if err == nil {
			err = p.Add(o)
		}
	}
	if err == nil {
		err = p.Close()
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("storing a pack: %w", err)
	}
	return nil
}

func (st *store) head() (plumbing.Hash, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	ref, err := st.s.Reference(mainRef)
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("branch main: %w", err)
	}
	return ref.Hash(), nil
}

func (st *store) setHead(id plumbing.Hash) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := replaceFile(filepath.Join(st.dir, "refs/heads/main"), []byte(id.String()+"\n")); err != nil {
		return fmt.Errorf("branch main: %w", err)
	}
	return nil
}

// compact puts objects that have files of their own into a pack, if there are
// many: each costs a look-up and a block of the disk.
func (st *store) compact(many int) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	var ids []plumbing.Hash
	err := st.s.ForEachObjectHash(func(id plumbing.Hash) error {
		ids = append(ids, id)
		return nil
	})
	if err != nil || len(ids) < many {
		return err
	}
	var objects []pack.Object
	for _, id := range ids {
		o, err := st.read(id)
		if err != nil {
			return err
		}
		objects = append(objects, o)
	}
	if err := st.putPack(objects); err != nil {
		return err
	}
	for _, id := range ids {
		if err := st.s.DeleteLooseObject(id); err != nil {
			return fmt.Errorf("after packing: %w", err)
		}
	}
	return nil
}

func (st *store) close() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.s.Close()
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

// hashed checks that objects are what their names say: go-git does not.
type hashed struct{ getter }

func (h hashed) get(id plumbing.Hash) (pack.Object, error) {
	o, err := h.getter.get(id)
	if err == nil && o.ID() != id {
		err = fmt.Errorf("object %s is damaged", id)
	}
	return o, err
}
