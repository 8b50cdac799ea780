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

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/swarm/pack"
)

// maxLoose bounds what is read of a file: what it is inflated to may be anything once it is damaged.
const maxLoose = 1 << 28

func (st *store) loosePath(id plumbing.Hash) string {
	name := id.String()
	return filepath.Join(st.dir, "objects", name[:2], name[2:])
}

// putLoose writes one object as git does. It and its folder are flushed: the branch must not name an object that a power
// cut took away.
func (st *store) putLoose(o pack.Object) error {
	id := o.ID()
	if _, err := st.readLoose(id); err == nil {
		return nil
	}
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	fmt.Fprintf(z, "%s %d\x00", o.Type, len(o.Data))
	z.Write(o.Data) // a bytes.Buffer takes all
	if err := z.Close(); err != nil {
		return err
	}
	path := st.loosePath(id)
	if err := st.disk.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	return st.disk.Write(path, b.Bytes())
}

// readLoose reads an object that has a file of its own.
func (st *store) readLoose(id plumbing.Hash) (pack.Object, error) {
	return st.readLooseWith(&inflater{}, id)
}

// readLooseWith is readLoose for who reads many, and keeps what inflates them.
func (st *store) readLooseWith(z *inflater, id plumbing.Hash) (pack.Object, error) {
	b, err := os.ReadFile(st.loosePath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return pack.Object{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	var o pack.Object
	if err == nil {
		o, err = z.parseLoose(b)
	}
	if err == nil && o.ID() != id {
		err = errors.New("it has another hash")
	}
	if err != nil {
		return pack.Object{}, fmt.Errorf("%w: object %s: %w", ErrDamaged, id, err)
	}
	return o, nil
}

// inflater is what inflates objects, one after the other: some 40 kB.
type inflater struct {
	z   io.ReadCloser // nil before the first
	buf bytes.Buffer
}

func (i *inflater) parseLoose(b []byte) (pack.Object, error) {
	var err error
	if i.z == nil {
		i.z, err = zlib.NewReader(bytes.NewReader(b))
	} else {
		err = i.z.(zlib.Resetter).Reset(bytes.NewReader(b), nil)
	}
	if err != nil {
		return pack.Object{}, err
	}
	i.buf.Reset()
	if _, err := i.buf.ReadFrom(io.LimitReader(i.z, maxLoose)); err != nil {
		return pack.Object{}, err
	}
	data := bytes.Clone(i.buf.Bytes())
	head, data, _ := bytes.Cut(data, []byte{0})
	kind, _, _ := bytes.Cut(head, []byte(" "))
	t, err := plumbing.ParseObjectType(string(kind))
	if err != nil {
		return pack.Object{}, err
	}
	return pack.Object{Type: t, Data: data}, nil // its hash says whether it is as long as it was
}

// loose lists the objects that have files of their own.
func (st *store) loose() ([]plumbing.Hash, error) {
	folders, err := os.ReadDir(filepath.Join(st.dir, "objects"))
	if err != nil {
		return nil, err
	}
	var out []plumbing.Hash
	for _, f := range folders {
		if len(f.Name()) != 2 || !f.IsDir() {
			continue
		}
		list, err := os.ReadDir(filepath.Join(st.dir, "objects", f.Name()))
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if name := f.Name() + e.Name(); plumbing.IsHash(name) {
				out = append(out, plumbing.NewHash(name))
			}
		}
	}
	return out, nil
}
