package repo

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/swarm/commit"
	"rendezvous/swarm/pack"
)

// maxNew bounds the commits that come with one fetch.
const maxNew = 1 << 20

// checkNew checks the commits that lead from what is known to head, oldest
// first, and adds them to the graph. On error the graph is as it was.
func (k *checker) checkNew(head plumbing.Hash) ([]*commit.Commit, error) {
	news, err := k.walk(head)
	if err != nil {
		return nil, err
	}
	for i, c := range news {
		if err := k.check(c); err != nil {
			for _, c := range news[:i] {
				delete(k.graph, c.ID)
			}
			return nil, err
		}
	}
	return news, nil
}

// walk reads the commits that are not in the graph yet, parents before children.
func (k *checker) walk(head plumbing.Hash) ([]*commit.Commit, error) {
	var out []*commit.Commit
	found := map[plumbing.Hash]*commit.Commit{}
	done := map[plumbing.Hash]bool{}
	for stack := []plumbing.Hash{head}; len(stack) > 0; {
		id := stack[len(stack)-1]
		if done[id] || k.graph[id] != nil {
			stack = stack[:len(stack)-1]
			continue
		}
		c := found[id]
		if c == nil {
			var err error
			if c, err = readCommit(k.objects, id); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
			}
			if len(found) >= maxNew {
				return nil, fmt.Errorf("%w: more than %d new commits", ErrInvalid, maxNew)
			}
			if len(c.Parents) == 0 && id != k.id && !k.id.IsZero() {
				return nil, invalid(c, errors.New("a second initial commit: the past was rewritten, or it is another conversation"))
			}
			found[id] = c
			stack = append(stack, c.Parents...)
			continue
		}
		stack = stack[:len(stack)-1]
		done[id] = true
		out = append(out, c)
	}
	return out, nil
}

// load fills the graph with what is stored, without checking it again.
func (k *checker) load(head plumbing.Hash) error {
	all, err := k.walk(head)
	if err != nil {
		return err
	}
	type key struct {
		tree plumbing.Hash
		dev  string
	}
	authors := map[key]*node{}
	for _, c := range all {
		m, err := commit.ParseMessage(c)
		if err != nil {
			return invalid(c, err)
		}
		n := &node{id: c.ID, parents: c.Parents, tree: c.Tree, time: c.Time.Unix(), kind: m.Type}
		if len(c.Parents) == 0 {
			if !k.id.IsZero() {
				return invalid(c, errors.New("a second initial commit"))
			}
			k.id, k.mode = c.ID, m.Mode
		}
		at := key{c.Tree, c.Device.String()}
		if known := authors[at]; known != nil {
			n.account = known.account
		} else {
			if n.account, err = k.who(c); err != nil {
				return invalid(c, err)
			}
			authors[at] = n
		}
		if len(c.Parents) == 0 {
			k.people = []string{n.account.String(), m.Get("invited")}
		}
		k.graph.add(n)
	}
	return nil
}

// reachable collects the objects of commits that are not stored yet: commits,
// their trees and files.
func (k *checker) reachable(commits []*commit.Commit, stored func(plumbing.Hash) bool) ([]pack.Object, error) {
	var out []pack.Object
	seen := map[plumbing.Hash]bool{}
	for _, c := range commits {
		out = append(out, pack.Object{Type: plumbing.CommitObject, Data: c.Raw()})
		err := eachObject(k.objects, c.Tree, func(id plumbing.Hash) bool {
			if seen[id] || stored(id) {
				return false
			}
			seen[id] = true
			return true
		}, func(_ plumbing.Hash, o pack.Object) error {
			out = append(out, o)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// eachObject visits a tree (a checked one), its folders and files, if enter
// wants them.
func eachObject(g getter, id plumbing.Hash, enter func(plumbing.Hash) bool, visit func(plumbing.Hash, pack.Object) error) error {
	if !enter(id) {
		return nil
	}
	o, err := g.get(id)
	if err != nil {
		return err
	}
	if err := visit(id, o); err != nil {
		return err
	}
	if o.Type != plumbing.TreeObject {
		return nil
	}
	for _, e := range entries(o.Data) {
		if err := eachObject(g, e.id, enter, visit); err != nil {
			return err
		}
	}
	return nil
}

// Outcome is what Integrate did.
type Outcome struct {
	// New are the commits that were not known, oldest first, the merge among
	// them if one was made.
	New []Entry
	// Merged is the merge that was made to join two lines of history.
	Merged *Entry
}

// Integrate takes a fetched history in: objects are those that came, head is the
// other's newest commit. All new commits are checked before anything is stored;
// if one breaks a rule, nothing changes and the error wraps ErrInvalid. Then the
// head moves on, or the two lines are merged.
//
// merge, if not nil, is asked before a merge is made, with what the other has
// more, oldest first; if it says no, nothing changes. It must not use the
// Repository.
func (r *Repository) Integrate(head plumbing.Hash, objects map[plumbing.Hash]pack.Object, merge func(more []Entry) bool) (Outcome, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out Outcome
	if r.k.graph[head] != nil {
		return out, nil
	}
	if err := r.Damaged(); err != nil {
		return out, fmt.Errorf("swarm: conversation %s: %w", r.id, err)
	}
	r.k.objects = overlay{r.store, objects}
	defer func() { r.k.objects = r.store }()
	news, err := r.k.checkNew(head)
	if err != nil {
		if errors.Is(err, ErrDamaged) { // ours, not theirs
			err = r.spot(err)
		}
		return out, fmt.Errorf("swarm: conversation %s: %w", r.id, err)
	}
	forget := func() {
		for _, c := range news {
			delete(r.k.graph, c.ID)
		}
	}
	fresh, err := r.k.reachable(news, r.store.has)
	if err != nil {
		forget()
		return out, fmt.Errorf("swarm: conversation %s: %w", r.id, err)
	}
	if err := r.room(fresh); err != nil {
		forget()
		return out, fmt.Errorf("swarm: conversation %s: %w", r.id, err)
	}
	for _, c := range news {
		out.New = append(out.New, entryOf(c, r.k.graph[c.ID]))
	}
	if r.k.graph.isAncestor(r.head, head) {
		if err := r.keep(fresh, head); err != nil {
			forget()
			return Outcome{}, err
		}
		return out, nil
	}
	if merge != nil && !merge(out.New) {
		forget()
		return Outcome{}, nil
	}
	tree, extra, err := r.mergeTree(head)
	if err == nil {
		err = r.store.put(fresh)
	}
	if err == nil {
		r.k.objects = r.store
		d := draft(r.author, r.now, tree, commit.Merge(head).Text(), r.head, head)
		var e Entry
		if e, err = r.seal(d, extra, nil); err == nil {
			out.New, out.Merged = append(out.New, e), &e
			return out, nil
		}
	}
	forget()
	return Outcome{}, fmt.Errorf("swarm: conversation %s: merging %s: %w", r.id, head, err)
}

// room checks that objects which others have sent may be stored.
func (r *Repository) room(fresh []pack.Object) error {
	stored, err := r.store.size()
	if err != nil {
		return err
	}
	for _, o := range fresh {
		stored += int64(len(o.Data))
	}
	if stored > r.most {
		return fmt.Errorf("%w: %d bytes, of %d", ErrFull, stored, r.most)
	}
	return nil
}

// mergeTree joins the trees of the head and another commit, path by path, taking
// each whole from one side.
func (r *Repository) mergeTree(other plumbing.Hash) (plumbing.Hash, map[plumbing.Hash]pack.Object, error) {
	fresh := map[plumbing.Hash]pack.Object{}
	if r.author.Identity == nil {
		return plumbing.ZeroHash, nil, errors.New("the repository is only read")
	}
	var bases []files
	for _, id := range r.k.graph.mergeBases(r.head, other) {
		f, err := r.k.tree(r.k.graph[id].tree)
		if err != nil {
			return plumbing.ZeroHash, nil, err
		}
		bases = append(bases, f)
	}
	ours, err := r.files()
	if err != nil {
		return plumbing.ZeroHash, nil, err
	}
	theirs, err := r.k.tree(r.k.graph[other].tree)
	if err != nil {
		return plumbing.ZeroHash, nil, err
	}
	tree := maps.Clone(ours)
	for _, c := range diff(ours, theirs) {
		unchanged := func(side plumbing.Hash) bool {
			return slices.ContainsFunc(bases, func(b files) bool { return b[c.path] == side })
		}
		take := c.from
		switch {
		case unchanged(c.from):
			take = c.to
		case unchanged(c.to):
		case c.path == "profile.vcf":
			if other.String() > r.head.String() {
				take = c.to
			}
		default:
			return plumbing.ZeroHash, nil, fmt.Errorf("both sides changed %s", c.path)
		}
		if tree[c.path] = take; take.IsZero() {
			delete(tree, c.path)
		}
	}
	if _, known := tree[r.ownDevice()]; !known || !tree.roleOf(r.account.String()).Belongs() {
		return plumbing.ZeroHash, nil, fmt.Errorf("%w: we are no member", ErrNotAllowed)
	}
	id, err := writeTree(tree, func(o pack.Object) (plumbing.Hash, error) {
		id := o.ID()
		fresh[id] = o
		return id, nil
	})
	return id, fresh, err
}

// Verify checks the whole stored history again, every rule of every commit, and that all
// objects are there. It returns the number of commits. The error wraps ErrInvalid for the
// first rule that is broken, or ErrDamaged.
func (r *Repository) Verify() (int, error) {
	head := r.Head()
	k := newChecker(r.id, r.store)
	news, err := k.checkNew(head)
	if err != nil {
		return 0, fmt.Errorf("swarm: %w", r.spot(err))
	}
	if _, err := k.reachable(news, func(plumbing.Hash) bool { return false }); err != nil {
		return 0, fmt.Errorf("swarm: %w", r.spot(err))
	}
	return len(news), nil
}
