package repo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/internal/atomicfile"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/pack"
)

// Author is who writes: our device and the name others see.
type Author struct {
	Identity *identity.Identity // nil: the repository is only read
	Name     func() string      // nil: the device id
}

// account is the author's account id.
func (a Author) account() (value.Key, error) {
	if a.Identity == nil || len(a.Identity.Chain) < 2 {
		return value.Key{}, errors.New("no device identity with its account's certificate")
	}
	return a.Identity.Chain.AccountID()
}

// Repository is a conversation on disk. Its methods are safe for many goroutines.
type Repository struct {
	id      plumbing.Hash
	store   *store
	author  Author
	account value.Key // the author's
	now     func() time.Time
	most    int64 // bytes that others may have us store

	damage   atomic.Pointer[error] // nil: none was found
	onDamage func(error)           // set before it is used by many
	notes    []error               // of Open

	mu   sync.Mutex // guards the rest
	k    *checker
	head plumbing.Hash
}

// maxStored bounds what others may have us store of one conversation: some ten million lines.
const maxStored = 1 << 30

// ErrFull says that a conversation takes as much of the disk as it may.
var ErrFull = errors.New("the conversation takes too much of the disk")

// compactFrom is how many objects in files of their own are put together (Compact).
const compactFrom = 2000

// Create begins a conversation in the folder dir, which must not hold one. other is who a one-to-one conversation is
// with, else nil; without them that mode is an error. Else it fails for an author without identity and as the disk
// does; dir is not there then.
func Create(dir string, a Author, mode commit.Mode, other *value.Key, now func() time.Time) (*Repository, error) {
	account, err := a.account()
	if err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	invited := ""
	if mode == commit.OneToOne {
		if other == nil {
			return nil, errors.New("swarm: a one-to-one conversation needs the other one")
		}
		invited = other.String()
	}
	fresh := overlay{extra: map[plumbing.Hash]pack.Object{}}
	put := func(kind plumbing.ObjectType, data []byte) plumbing.Hash {
		o := pack.Object{Type: kind, Data: data}
		fresh.extra[o.ID()] = o
		return o.ID()
	}
	tree := files{
		filePath("admins", account.String()):                       put(plumbing.BlobObject, a.Identity.Chain[1:].PEM()),
		filePath("devices", a.Identity.Chain[0].LongID().String()): put(plumbing.BlobObject, a.Identity.Chain[:1].PEM()),
	}
	if invited != "" {
		tree[filePath("invited", invited)] = put(plumbing.BlobObject, nil)
	}
	root, err := writeTree(tree, func(o pack.Object) (plumbing.Hash, error) { return put(o.Type, o.Data), nil })
	if err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	c, err := draft(a, now, root, commit.Initial(mode, invited).Text()).Sign(a.Identity.Key)
	if err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	put(plumbing.CommitObject, c.Raw())
	return Clone(dir, a, c.ID, c.ID, fresh.extra, now)
}

func draft(a Author, now func() time.Time, tree plumbing.Hash, text string, parents ...plumbing.Hash) commit.Draft {
	d := commit.Draft{Tree: tree, Parents: parents, Device: a.Identity.Chain[0].LongID(), Time: now(), Text: text}
	if a.Name != nil {
		d.Name = a.Name()
	}
	return d
}

// Clone stores a conversation that was fetched, after checking all of it. The author's account must be in it, at least
// invited. The error wraps ErrInvalid if a rule is broken or an object is missing; else it says that we are not
// invited, that there is one in dir already, or is the disk's. Nothing is stored then.
func Clone(dir string, a Author, id, head plumbing.Hash, objects map[plumbing.Hash]pack.Object, now func() time.Time) (*Repository, error) {
	account, err := a.account()
	if err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	k := newChecker(id, overlay{extra: objects})
	news, err := k.checkNew(head)
	if err != nil {
		return nil, fmt.Errorf("swarm: conversation %s: %w", id, err)
	}
	tree, err := k.tree(k.graph[head].tree)
	if err != nil {
		return nil, fmt.Errorf("swarm: conversation %s: %w", id, err)
	}
	if role := tree.roleOf(account.String()); !role.Belongs() && role != Invited && (role == Banned || k.mode != commit.Public) {
		return nil, fmt.Errorf("swarm: conversation %s: we are not invited", id)
	}
	fresh, err := k.reachable(news, func(plumbing.Hash) bool { return false })
	if err != nil {
		return nil, fmt.Errorf("swarm: conversation %s: %w", id, err)
	}
	// The folder appears under its name only when it is complete.
	if err := atomicfile.MkdirAll(filepath.Dir(dir), folderMode); err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	if _, err := os.Lstat(dir); err == nil {
		return nil, fmt.Errorf("swarm: conversation %s exists already", id)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".new-*")
	if err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	st, err := newStore(tmp)
	if err == nil {
		err = st.put(fresh)
	}
	if err == nil {
		err = st.setHead(head)
	}
	if err == nil {
		err = atomicfile.Rename(tmp, dir)
	}
	if err != nil {
		os.RemoveAll(tmp)
		return nil, fmt.Errorf("swarm: storing conversation %s: %w", id, err)
	}
	if st, err = openStore(dir, true); err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	k.objects = st
	return &Repository{id: id, store: st, author: a, account: account, now: now, most: maxStored, k: k, head: head}, nil
}

// Open opens a conversation that was stored, and with an author, who is then the only one to have it open, puts in order
// what a crash has left. What is on our disk was checked by the rules when it came; whether it still is what came is
// checked by the hashes, with an author of all of it. If it is not, the error wraps ErrDamaged, and Mend can repair it. Only
// a branch that was lost is found again at once: Notes tells.
func Open(dir string, a Author, now func() time.Time) (*Repository, error) {
	own := a.Identity != nil
	r := &Repository{author: a, now: now, most: maxStored}
	var err error
	if own {
		if r.account, err = a.account(); err != nil {
			return nil, fmt.Errorf("swarm: %w", err)
		}
	}
	if r.store, err = openStore(dir, own); err != nil {
		return nil, fmt.Errorf("swarm: %s: %w", filepath.Base(dir), err)
	}
	r.notes = r.store.notes
	if err := r.open(own); err != nil {
		return nil, err
	}
	return r, nil
}

// Compact puts objects together that have files of their own, if there are many: the next Open takes a third of the time then. For
// tens of thousands it takes seconds, in which the repository can be used; ctx ends it. Whatever the error, all is there.
func (r *Repository) Compact(ctx context.Context) error {
	if err := r.store.compact(ctx, compactFrom); err != nil {
		return fmt.Errorf("swarm: conversation %s: its objects could not be put together: %w", r.id, err)
	}
	return nil
}

// Close ends the use of the repository. Nothing is open between calls, so that it never fails.
func (r *Repository) Close() error { return nil }

// ID is the conversation's id: that of its initial commit.
func (r *Repository) ID() plumbing.Hash { return r.id }

// Head is the newest commit.
func (r *Repository) Head() plumbing.Hash {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head
}

// Mode says who may come in.
func (r *Repository) Mode() commit.Mode {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.k.mode
}

// Has reports whether a commit is part of the history.
func (r *Repository) Has(id plumbing.Hash) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.k.graph[id] != nil
}

// files is the tree of the head; mu is held.
func (r *Repository) files() (files, error) {
	f, err := r.k.tree(r.k.graph[r.head].tree)
	return f, r.spot(err)
}

func (r *Repository) snapshot() files {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := r.files()
	if err != nil {
		return files{} // nobody is a member of what cannot be read
	}
	return f
}

// Role is what an account is in the conversation.
func (r *Repository) Role(account value.Key) Role {
	if role := r.snapshot().roleOf(account.String()); role != None {
		return role
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.k.graph {
		if n.account == account {
			return Left
		}
	}
	return None
}

// Members lists whom the tree names: admins, members, invited and banned.
func (r *Repository) Members() []Member { return r.snapshot().members() }

// Device is a device of a member, by its certificate in the tree.
type Device struct {
	Account value.Key
	IDs     identity.KeyIDs
}

// Devices lists the devices of those who belong to the conversation.
func (r *Repository) Devices() []Device {
	r.mu.Lock()
	defer r.mu.Unlock()
	tree, err := r.files()
	if err != nil {
		return nil
	}
	var out []Device
	for p, blob := range tree {
		l, err := parsePath(p)
		if err != nil || l.folder != devicesFolder || tree.deviceBanned(l.id) {
			continue
		}
		cert, err := r.k.certificate(blob)
		if r.spot(err) != nil {
			continue
		}
		account, err := r.k.issuer(cert, blob, tree)
		if err != nil || !tree.roleOf(account).Belongs() {
			continue
		}
		if key, err := value.ParseKey(account); err == nil {
			out = append(out, Device{key, identity.KeyIDs{Short: cert.ID(), Long: cert.LongID()}})
		}
	}
	return out
}

// MayRead reports whether a device of an account may have the history: members,
// and the invited, who clone it before they join. Anybody may read what is public.
func (r *Repository) MayRead(account value.Key, device value.LongID) bool {
	f := r.snapshot()
	role := f.roleOf(account.String())
	if role == Banned || f.deviceBanned(device.String()) {
		return false
	}
	return role != None || r.Mode() == commit.Public
}

// MayHaveFiles reports whether a device of an account may have files: members.
func (r *Repository) MayHaveFiles(account value.Key, device value.LongID) bool {
	f := r.snapshot()
	return f.roleOf(account.String()).Belongs() && !f.deviceBanned(device.String())
}

// Profile is the conversation's profile; empty if it has none.
func (r *Repository) Profile() Profile {
	blob, ok := r.snapshot()["profile.vcf"]
	if !ok {
		return Profile{}
	}
	data, err := typed(r.store, blob, plumbing.BlobObject)
	if r.spot(err) != nil {
		return Profile{}
	}
	return parseProfile(data)
}

// Entry is a commit of the history: who made it, on which device, and what it says. Name and Time are as they said, unproven.
type Entry struct {
	ID      plumbing.Hash
	Parents []plumbing.Hash
	Account value.Key
	Device  value.LongID
	Name    string
	Time    time.Time
	Message commit.Message
	Text    string // as it stands in the commit
}

// Entry reads a commit of the history. The error wraps ErrNotFound, or ErrDamaged if it cannot be read.
func (r *Repository) Entry(id plumbing.Hash) (Entry, error) {
	r.mu.Lock()
	n := r.k.graph[id]
	r.mu.Unlock()
	if n == nil {
		return Entry{}, fmt.Errorf("swarm: %w: %s", ErrNotFound, id)
	}
	c, err := readCommit(r.store, id)
	if err != nil {
		return Entry{}, fmt.Errorf("swarm: %w", r.spot(err))
	}
	return entryOf(c, n), nil
}

func entryOf(c *commit.Commit, n *node) Entry {
	m, err := commit.ParseMessage(c)
	if err != nil {
		m = commit.Message{} // checked before; Text tells
	}
	return Entry{c.ID, c.Parents, n.account, c.Device, c.Name, c.Time, m, c.Text}
}

func readCommit(g getter, id plumbing.Hash) (*commit.Commit, error) {
	data, err := typed(g, id, plumbing.CommitObject)
	if err != nil {
		return nil, err
	}
	c, err := commit.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("commit %s: %w", id, err)
	}
	if c.ID != id {
		return nil, fmt.Errorf("commit %s: what is stored there is %s", id, c.ID)
	}
	return c, nil
}

// Linearised lists the ids of the history, newest first: no commit stands before
// one that follows it, and of those that are free the newest comes first.
// Everybody who has the same commits gets the same order.
func (r *Repository) Linearised() []plumbing.Hash {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.k.graph.linearise(r.head)
}

// Since reads the entries that stand after a commit, newest first; of a commit that is not in the history, as "", the newest few.
// It reads most entries at the most, or few.
func (r *Repository) Since(commit string, most, few int) ([]Entry, error) {
	after := plumbing.NewHash(commit)
	if !r.Has(after) {
		return r.Log(few)
	}
	ids := r.Linearised()
	if i := slices.Index(ids, after); i >= 0 {
		ids = ids[:i]
	}
	return r.entries(ids, most)
}

// Log reads up to max entries, newest first; all for max <= 0. The error wraps ErrDamaged if one of them cannot be read.
func (r *Repository) Log(max int) ([]Entry, error) {
	return r.entries(r.Linearised(), max)
}

// entries reads those with the first ids, up to max; all for max <= 0.
func (r *Repository) entries(ids []plumbing.Hash, max int) ([]Entry, error) {
	if max > 0 && len(ids) > max {
		ids = slices.Clip(ids[:max])
	}
	out := make([]Entry, 0, len(ids))
	for _, id := range ids {
		e, err := r.Entry(id)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}
