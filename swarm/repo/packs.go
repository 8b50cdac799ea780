package repo

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"

	"rendezvous/swarm/pack"
)

// packed is a pack on the disk.
type packed struct {
	path   string // without .pack
	index  *idxfile.MemoryIndex
	broken error // why not all of it is in the index
}

func (st *store) packFolder() string { return filepath.Join(st.dir, "objects", "pack") }

// find tells where in the pack an object is.
func (p *packed) find(id plumbing.Hash) (int64, bool) {
	at, err := p.index.FindOffset(id)
	return at, err == nil
}

// ids lists the objects of the pack.
func (p *packed) ids() []plumbing.Hash {
	var out []plumbing.Hash
	for _, names := range p.index.Names {
		for ; len(names) >= 20; names = names[20:] {
			out = append(out, plumbing.Hash(names[:20]))
		}
	}
	return out
}

func (p *packed) read(at int64) (pack.Object, error) {
	f, err := os.Open(p.path + ".pack")
	if err != nil {
		return pack.Object{}, err
	}
	defer f.Close()
	o, _, err := pack.EntryAt(f, at, p.find)
	return o, err
}

// loadPacks reads the indexes of all packs. With own, one that is missing or damaged is made anew from the pack, and one
// whose pack is not there goes.
func (st *store) loadPacks(own bool) error {
	list, err := os.ReadDir(st.packFolder())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	st.packs = nil
	for _, e := range list {
		path := filepath.Join(st.packFolder(), e.Name())
		if base, ok := strings.CutSuffix(path, ".idx"); ok && own {
			if _, err := os.Stat(base + ".pack"); errors.Is(err, fs.ErrNotExist) {
				if err := st.disk.Forget(path); err != nil {
					st.notes = append(st.notes, fmt.Errorf("an index without pack could not be removed: %w", err))
				}
			}
		}
		base, ok := strings.CutSuffix(path, ".pack")
		if !ok {
			continue
		}
		p := &packed{path: base}
		if p.index, err = readIndex(base + ".idx"); err != nil {
			if p.index, p.broken = scanPack(base + ".pack"); own && p.broken == nil {
				if err := st.writeIndex(p); err != nil {
					st.notes = append(st.notes, fmt.Errorf("an index that was made anew could not be written: %w", err))
				}
			}
		}
		st.packs = append(st.packs, p)
	}
	return nil
}

// packsNew reports whether there are packs that loadPacks has not read; mu is held.
func (st *store) packsNew() bool {
	list, err := filepath.Glob(filepath.Join(st.packFolder(), "*.pack"))
	return err == nil && slices.ContainsFunc(list, func(path string) bool {
		return !slices.ContainsFunc(st.packs, func(p *packed) bool { return p.path+".pack" == path })
	})
}

func readIndex(path string) (*idxfile.MemoryIndex, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	index := idxfile.NewMemoryIndex()
	return index, idxfile.NewDecoder(f).Decode(index)
}

func (st *store) writeIndex(p *packed) error {
	var b bytes.Buffer
	if _, err := idxfile.NewEncoder(&b).Encode(p.index); err != nil {
		return err
	}
	return st.disk.Write(p.path+".idx", b.Bytes())
}

// scanPack makes the index of a pack that has none, as far as it can be read.
func scanPack(path string) (*idxfile.MemoryIndex, error) {
	w := new(idxfile.Writer)
	sum, broken := scanInto(w, path)
	if err := w.OnFooter(sum); err != nil {
		return idxfile.NewMemoryIndex(), err
	}
	index, err := w.Index()
	if err != nil {
		return idxfile.NewMemoryIndex(), err
	}
	return index, broken
}

func scanInto(w *idxfile.Writer, path string) (sum plumbing.Hash, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	count, err := pack.Count(f)
	if err != nil {
		return sum, err
	}
	found := map[plumbing.Hash]int64{}
	find := func(id plumbing.Hash) (int64, bool) { at, ok := found[id]; return at, ok }
	at := int64(pack.FirstEntry)
	for i := range count {
		o, next, err := pack.EntryAt(f, at, find)
		if err != nil {
			return sum, fmt.Errorf("entry %d of %d: %w", i+1, count, err)
		}
		crc := crc32.NewIEEE()
		if _, err := io.Copy(crc, io.NewSectionReader(f, at, next-at)); err != nil {
			return sum, err
		}
		id := o.ID()
		w.Add(id, uint64(at), crc.Sum32())
		found[id] = at
		at = next
	}
	if _, err := f.ReadAt(sum[:], at); err != nil {
		return sum, err
	}
	return sum, nil
}

// putPack writes a pack of count objects. It is on the disk and all of it has been read again when it returns.
func (st *store) putPack(count int, object func(int) (pack.Object, error)) error {
	p, err := st.writePack(count, object)
	if err != nil {
		return fmt.Errorf("storing a pack: %w", err)
	}
	st.packs = append(st.packs, p)
	return nil
}

func (st *store) writePack(count int, object func(int) (pack.Object, error)) (p *packed, err error) {
	if err := st.disk.MkdirAll(st.packFolder()); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(st.packFolder(), ".pack.*.tmp")
	if err != nil {
		return nil, err
	}
	tmp := f.Name()
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(tmp)
		}
	}()
	index, sum, err := fillPack(f, count, object)
	if err == nil {
		err = st.disk.Sync(f)
	}
	if err != nil {
		return nil, err
	}
	// Read again what is in the file now, through the index.
	written := pack.NewEntries(f, nil) // there are no deltas
	for _, id := range (&packed{index: index}).ids() {
		at, err := index.FindOffset(id)
		if err != nil {
			return nil, err
		}
		o, _, err := written.At(at)
		if err == nil && o.ID() != id {
			err = errors.New("it has another hash")
		}
		if err != nil {
			return nil, fmt.Errorf("object %s, read again: %w", id, err)
		}
	}
	// The index first: git takes a pack for one once it has both.
	p = &packed{path: filepath.Join(st.packFolder(), "pack-"+sum.String()), index: index}
	if err := st.writeIndex(p); err != nil {
		return nil, err
	}
	return p, st.disk.Rename(tmp, p.path+".pack")
}

// fillPack writes the objects, and makes the index.
func fillPack(f io.Writer, count int, object func(int) (pack.Object, error)) (*idxfile.MemoryIndex, plumbing.Hash, error) {
	none := plumbing.ZeroHash
	buffered := bufio.NewWriterSize(f, 64<<10)
	c := &counter{w: buffered}
	w, err := pack.NewWriter(c, count)
	if err != nil {
		return nil, none, err
	}
	entries := new(idxfile.Writer)
	for i := range count {
		o, err := object(i)
		if err != nil {
			return nil, none, err
		}
		at := c.n
		c.crc = 0
		if err := w.Add(o); err != nil {
			return nil, none, err
		}
		entries.Add(o.ID(), uint64(at), c.crc)
	}
	if err := errors.Join(w.Close(), buffered.Flush()); err != nil {
		return nil, none, err
	}
	if err := entries.OnFooter(w.Checksum()); err != nil {
		return nil, none, err
	}
	index, err := entries.Index()
	return index, w.Checksum(), err
}

// counter knows how much was written, and the CRC since it was set to 0.
type counter struct {
	w   io.Writer
	n   int64
	crc uint32
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	c.crc = crc32.Update(c.crc, crc32.IEEETable, b[:n])
	return n, err
}
