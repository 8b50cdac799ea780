package repo

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/value"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/pack"
)

// survey reads everything that some objects need and lists what cannot be read, and why the first of it cannot.
func survey(g getter, from []plumbing.Hash) (missing []plumbing.Hash, first error) {
	seen := map[plumbing.Hash]bool{}
	var todo []plumbing.Hash
	push := func(id plumbing.Hash) {
		if !seen[id] {
			seen[id] = true
			todo = append(todo, id)
		}
	}
	for _, id := range from {
		push(id)
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		o, err := g.get(id)
		if err != nil {
			missing = append(missing, id)
			if first == nil {
				first = err
			}
			continue
		}
		switch o.Type {
		case plumbing.CommitObject:
			if c, err := commit.Parse(o.Data); err == nil { // else the checker says so
				push(c.Tree)
				for _, p := range c.Parents {
					push(p)
				}
			}
		case plumbing.TreeObject:
			for _, e := range entries(o.Data) {
				push(e.id)
			}
		}
	}
	return missing, first
}

// whole checks that all trees and files of the history are there; its commits have been read.
func (k *checker) whole() error {
	trees := map[plumbing.Hash]bool{}
	for _, n := range k.graph {
		trees[n.tree] = true
	}
	missing, first := survey(k.objects, slices.Collect(maps.Keys(trees)))
	if len(missing) > 0 {
		return fmt.Errorf("%d objects cannot be read: %w", len(missing), first)
	}
	return nil
}

// patched is a store with what others have of it, and notes what it has to take from there.
type patched struct {
	store *store
	extra map[plumbing.Hash]pack.Object
	taken map[plumbing.Hash]pack.Object
}

func (p patched) get(id plumbing.Hash) (pack.Object, error) {
	o, err := p.store.get(id)
	if err == nil {
		return o, nil
	}
	if o, err := (overlay{extra: p.extra}).get(id); err == nil {
		p.taken[id] = o
		return o, nil
	}
	return pack.Object{}, err
}

// Mended is what a repair has done.
type Mended struct {
	Placed  int // objects that were put in place
	Missing int // that the other's copy lacks as well
}

// Mend repairs the conversation in a folder, which Open has found damaged, with another's copy: what was fetched from
// them of it, all of it, and their newest commit. The copy is checked by all rules; if one is broken, nothing changes and
// the error wraps ErrInvalid. Of it is taken only what is damaged or missing here. If all is whole then, Open opens it.
func Mend(dir string, id, head plumbing.Hash, objects map[plumbing.Hash]pack.Object) (Mended, error) {
	// Folders may have been lost, too.
	st := &store{dir: dir, disk: onDisk{}, bytes: -1, single: -1}
	err := st.frame()
	if err == nil {
		st, err = openStore(dir, true)
	}
	if err != nil {
		return Mended{}, fmt.Errorf("swarm: repairing %s: %w", id, err)
	}
	return st.mend(id, head, objects)
}

func (st *store) mend(id, head plumbing.Hash, objects map[plumbing.Hash]pack.Object) (Mended, error) {
	m, err := st.mendWith(id, head, objects)
	if err != nil {
		return m, fmt.Errorf("swarm: repairing %s: %w", id, err)
	}
	return m, nil
}

func (st *store) mendWith(id, head plumbing.Hash, objects map[plumbing.Hash]pack.Object) (Mended, error) {
	var m Mended
	k := newChecker(id, overlay{extra: objects})
	if _, err := k.checkNew(head); err != nil {
		return m, err
	}
	if err := k.whole(); err != nil {
		return m, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	target, lost, err := st.target(objects)
	if err != nil {
		return m, err
	}
	if target.IsZero() {
		target = head
	}
	p := patched{st, objects, map[plumbing.Hash]pack.Object{}}
	missing, _ := survey(p, []plumbing.Hash{target})
	if len(missing) > 0 { // what it has of the history may be older than what is missing
		survey(p, []plumbing.Hash{head})
	}
	m.Placed, m.Missing = len(p.taken), len(missing)
	if err := st.put(slices.Collect(maps.Values(p.taken))); err != nil {
		return Mended{Missing: m.Placed + m.Missing}, err
	}
	if m.Missing > 0 {
		return m, nil
	}
	if lost {
		if err := st.setHead(target); err != nil {
			return m, err
		}
	}
	return m, st.discard()
}

// discard removes damaged files, and replaces packs that have damaged objects by whole ones without them. It must not be
// called before all that is needed is whole elsewhere.
func (st *store) discard() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.bytes = -1
	ids, err := st.loose()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := st.readLoose(id); errors.Is(err, ErrDamaged) {
			if err := st.disk.Forget(st.loosePath(id)); err != nil {
				return err
			}
		}
	}
	for _, p := range slices.Clone(st.packs) {
		if err := st.replaceDamaged(p); err != nil {
			return fmt.Errorf("replacing a damaged pack: %w", err)
		}
	}
	return nil
}

func (st *store) replaceDamaged(p *packed) error {
	var whole []plumbing.Hash
	damaged := p.broken != nil
	for _, id := range p.ids() {
		if at, ok := p.find(id); ok {
			if o, err := p.read(at); err != nil || o.ID() != id {
				damaged = true
			}
		}
		if _, err := st.read(id); err == nil {
			whole = append(whole, id)
		}
	}
	if !damaged {
		return nil
	}
	path := ""
	if len(whole) > 0 {
		if err := st.putPack(len(whole), func(i int) (pack.Object, error) { return st.read(whole[i]) }); err != nil {
			return err
		}
		path = st.packs[len(st.packs)-1].path
	}
	st.packs = slices.DeleteFunc(st.packs, func(o *packed) bool { return o == p })
	if path == p.path {
		return nil // it is the same again, and was replaced
	}
	return errors.Join(st.disk.Forget(p.path+".pack"), forgiving(st.disk.Forget(p.path+".idx")))
}

// forgiving takes it that a file is not there.
func forgiving(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// Keepers lists the accounts that may have a copy of the conversation in a folder, as far as what can be read there
// tells: of one that is damaged. It may be too many, as some may have left.
func Keepers(dir string) []value.Key {
	st, err := openStore(dir, false)
	if err != nil {
		return nil
	}
	found := map[value.Key]bool{}
	note := func(id string) {
		if k, err := value.ParseKey(id); err == nil && k.String() == id {
			found[k] = true
		}
	}
	_ = st.each(func(_ plumbing.Hash, o pack.Object) { // what cannot be read tells nothing
		switch o.Type {
		case plumbing.TreeObject: // folders of admins and members
			for _, e := range entries(o.Data) {
				if id, ok := strings.CutSuffix(e.name, ".crt"); ok {
					note(id)
				}
			}
		case plumbing.CommitObject:
			if c, err := commit.Parse(o.Data); err == nil {
				if m, err := commit.ParseMessage(c); err == nil && m.Type == commit.TypeMember && m.Get("action") == commit.ActionJoin {
					note(m.Get("uri"))
				}
			}
		}
	})
	out := slices.Collect(maps.Keys(found))
	slices.SortFunc(out, func(a, b value.Key) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// Damaged is why the repository cannot be relied on, or nil: an object of its history was found that cannot be read.
// Nothing is written to it until Mend has repaired it.
func (r *Repository) Damaged() error {
	if p := r.damage.Load(); p != nil {
		return *p
	}
	return nil
}

// OnDamage has f called when damage is found. It must not wait, nor call methods of the Repository.
func (r *Repository) OnDamage(f func(error)) { r.onDamage = f }

// spot takes notice of damage: err comes from reading an object of the history, which must be there.
func (r *Repository) spot(err error) error {
	if err == nil || !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNotFound) {
		return err
	}
	if !errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if r.damage.CompareAndSwap(nil, &err) && r.onDamage != nil {
		r.onDamage(err)
	}
	return err
}

// Mend repairs the repository with another's copy, as the function Mend does, with the same errors. It is damaged no more
// if nothing is missing then.
func (r *Repository) Mend(head plumbing.Hash, objects map[plumbing.Hash]pack.Object) (Mended, error) {
	m, err := r.store.mend(r.id, head, objects)
	if err != nil || m.Missing > 0 {
		return m, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.damage.Store(nil)
	return m, nil
}

// open reads what is stored; r.store is open.
func (r *Repository) open(own bool) error {
	base := filepath.Base(r.store.dir)
	head, lost, err := r.store.target(nil)
	if err != nil {
		return fmt.Errorf("swarm: %s: %w", base, err)
	}
	if lost && (!own || head.IsZero()) {
		_, err := r.store.head()
		if err == nil {
			err = fmt.Errorf("%w: branch main names a commit that is not there", ErrDamaged)
		}
		return fmt.Errorf("swarm: %s: %w", base, err)
	}
	all := r.store.bulk()
	defer all.close()
	r.head, r.k = head, newChecker(plumbing.ZeroHash, all)
	err = r.k.load(head)
	if err == nil && own {
		err = r.k.whole()
	}
	r.k.objects = r.store
	if err != nil {
		return fmt.Errorf("swarm: %s: %w", base, damagedBy(err))
	}
	r.id = r.k.id
	if lost {
		return r.restoreHead()
	}
	return nil
}

func damagedBy(err error) error {
	if errors.Is(err, ErrDamaged) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// restoreHead makes the newest commit that was found the head, and takes in what else was stored: a crash may have come
// between the objects of another's line and the merge with it.
func (r *Repository) restoreHead() error {
	if err := r.store.setHead(r.head); err != nil {
		return fmt.Errorf("swarm: %w", err)
	}
	r.notes = append(r.notes, fmt.Errorf("branch main was damaged, or what it named is gone; the newest commit that is there, %s, is the head", r.head))
	tips, err := r.store.tips()
	if err != nil {
		return fmt.Errorf("swarm: %w", err)
	}
	for _, tip := range tips {
		if tip == r.head {
			continue
		}
		if _, err := r.Integrate(tip, nil, nil); err != nil {
			r.notes = append(r.notes, fmt.Errorf("a line of history that was found is left aside: %w", err))
		}
	}
	return nil
}

// Notes are what was found and put right at Open, for the log.
func (r *Repository) Notes() []error { return r.notes }
