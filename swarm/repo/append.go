package repo

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/value"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/pack"
)

// ErrNotAllowed is wrapped by refusals of what the author may not do.
var ErrNotAllowed = errors.New("not allowed")

// changeTree makes the next tree out of the present one. blob stores a file.
type changeTree func(tree files, blob func([]byte) plumbing.Hash) error

// Say appends a message that leaves the tree as it is. As with all that appends, the
// error wraps ErrNotAllowed if a rule forbids it, ErrDamaged while the repository is, or
// is the disk's; nothing has changed then.
func (r *Repository) Say(m commit.Message) (Entry, error) { return r.SayAfter(m, nil) }

// SayAfter is Say with something that has to be done before others can see the message, and knows its id: if it fails,
// nothing is said.
func (r *Repository) SayAfter(m commit.Message, before func(Entry) error) (Entry, error) {
	switch m.Type {
	case commit.TypeInitial, commit.TypeMember, commit.TypeVote, commit.TypeUpdateProfile, commit.TypeMerge:
		return Entry{}, fmt.Errorf("swarm: a %s is no message", m.Type)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.append(m, nil, before)
}

// Invite adds an account to those who may join. ErrNotAllowed also means that it belongs
// to the conversation already, or is banned. Else it fails as Say does.
func (r *Repository) Invite(account value.Key) (Entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.append(commit.Member(commit.ActionAdd, account.String()), func(tree files, blob func([]byte) plumbing.Hash) error {
		tree[filePath("invited", account.String())] = blob(nil)
		return nil
	}, nil)
}

// Join makes the author a member; they have to be invited unless the conversation
// is public.
func (r *Repository) Join() (Entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	me := r.account.String()
	return r.append(commit.Member(commit.ActionJoin, me), func(tree files, blob func([]byte) plumbing.Hash) error {
		delete(tree, filePath("invited", me))
		tree[filePath("members", me)] = blob(r.author.Identity.Chain[1:].PEM())
		return nil
	}, nil)
}

// Leave takes the author out of the conversation. It fails as Say does.
func (r *Repository) Leave() (Entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	me := r.account.String()
	return r.append(commit.Member(commit.ActionRemove, me), func(tree files, _ func([]byte) plumbing.Hash) error {
		delete(tree, filePath("admins", me))
		delete(tree, filePath("members", me))
		return nil
	}, nil)
}

// SetProfile changes what the conversation shows of itself. Admins may; others, and a
// device whose first commit it would be, get ErrNotAllowed. More than MaxProfile bytes are
// an error. Else it fails as Say does.
func (r *Repository) SetProfile(p Profile) (Entry, error) {
	card := p.vcard()
	if len(card) > MaxProfile {
		return Entry{}, fmt.Errorf("swarm: a profile of %d bytes", len(card))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	tree, err := r.files()
	if err != nil {
		return Entry{}, fmt.Errorf("swarm: %w", err)
	}
	if _, known := tree[r.ownDevice()]; !known {
		return Entry{}, fmt.Errorf("swarm: %w: a device's first commit may not be the profile", ErrNotAllowed)
	}
	return r.append(commit.UpdateProfile(), func(tree files, blob func([]byte) plumbing.Hash) error {
		tree["profile.vcf"] = blob(card)
		return nil
	}, nil)
}

// Ban votes for the ban of an account, and bans it if more than half of the admins have: at
// once where there is one admin. It reports whether that is so. An account that is not in
// the conversation is an error; else it fails as Say does. If only the vote is made, it is
// among the entries.
func (r *Repository) Ban(account value.Key) (entries []Entry, done bool, err error) {
	return r.decide(account.String(), false)
}

// Unban votes for lifting a ban, as Ban does for making it. An account that is not banned is
// an error.
func (r *Repository) Unban(account value.Key) (entries []Entry, done bool, err error) {
	return r.decide(account.String(), true)
}

// BanDevice votes for the ban of one device of a member, whose others stay. It fails as Ban
// does.
func (r *Repository) BanDevice(device value.LongID) (entries []Entry, done bool, err error) {
	return r.decide(device.String(), false)
}

func (r *Repository) decide(target string, lift bool) (entries []Entry, done bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tree, err := r.files()
	if err != nil {
		return nil, false, fmt.Errorf("swarm: %w", err)
	}
	kind, from, to := "", "", ""
	for _, k := range kinds {
		from, to = filePath(k, target), bannedPath(k, target)
		if lift {
			from, to = to, from
		}
		if _, ok := tree[from]; ok {
			kind = k
			break
		}
	}
	if kind == "" {
		return nil, false, fmt.Errorf("swarm: %s is not there to be voted about", target)
	}
	mine := votePath(lift, kind, target, r.account.String())
	if _, voted := tree[mine]; !voted {
		e, err := r.append(commit.Vote(target), func(tree files, blob func([]byte) plumbing.Hash) error {
			tree[mine] = blob(nil)
			return nil
		}, nil)
		if err != nil {
			return nil, false, err
		}
		entries = append(entries, e)
		if tree, err = r.files(); err != nil {
			return entries, false, fmt.Errorf("swarm: %w", err)
		}
	}
	prefix := strings.TrimSuffix(mine, r.account.String())
	votes := 0
	for p := range tree {
		if voter, ok := strings.CutPrefix(p, prefix); ok && tree.roleOf(voter) == Admin {
			votes++
		}
	}
	if 2*votes <= tree.admins() {
		return entries, false, nil
	}
	action := commit.ActionBan
	if lift {
		action = commit.ActionUnban
	}
	e, err := r.append(commit.Member(action, target), func(tree files, _ func([]byte) plumbing.Hash) error {
		maps.DeleteFunc(tree, func(p string, _ plumbing.Hash) bool { return strings.HasPrefix(p, prefix) })
		tree[to] = tree[from]
		delete(tree, from)
		return nil
	}, nil)
	if err != nil {
		return entries, false, err
	}
	return append(entries, e), true, nil
}

func (r *Repository) ownDevice() string {
	return filePath("devices", r.author.Identity.Chain[0].LongID().String())
}

// append makes the next commit on the head, checks it as peers will, and stores
// it; mu is held. before may be nil.
func (r *Repository) append(m commit.Message, change changeTree, before func(Entry) error) (Entry, error) {
	if r.author.Identity == nil {
		return Entry{}, errors.New("swarm: the repository is only read")
	}
	if err := r.Damaged(); err != nil {
		return Entry{}, fmt.Errorf("swarm: %w", err)
	}
	id, fresh, err := r.nextTree(change)
	if err != nil {
		return Entry{}, fmt.Errorf("swarm: %w", err)
	}
	return r.seal(draft(r.author, r.now, id, m.Text(), r.head), fresh, before)
}

// nextTree makes the tree of the next commit: the head's with the author's
// device, and with the change.
func (r *Repository) nextTree(change changeTree) (plumbing.Hash, map[plumbing.Hash]pack.Object, error) {
	fresh := map[plumbing.Hash]pack.Object{}
	put := func(o pack.Object) (plumbing.Hash, error) {
		id := o.ID()
		fresh[id] = o
		return id, nil
	}
	blob := func(data []byte) plumbing.Hash {
		id, _ := put(pack.Object{Type: plumbing.BlobObject, Data: data}) // never fails
		return id
	}
	old, err := r.files()
	if err != nil {
		return plumbing.ZeroHash, nil, err
	}
	_, known := old[r.ownDevice()]
	if known && change == nil {
		return r.k.graph[r.head].tree, fresh, nil
	}
	tree := maps.Clone(old)
	if !known {
		tree[r.ownDevice()] = blob(r.author.Identity.Chain[:1].PEM())
	}
	if change != nil {
		if err := change(tree, blob); err != nil {
			return plumbing.ZeroHash, nil, err
		}
	}
	id, err := writeTree(tree, put)
	return id, fresh, err
}

// seal signs a commit, checks it, stores it with its objects and makes it the
// head; mu is held. If that fails, also for want of room on the disk, all is as it was.
func (r *Repository) seal(d commit.Draft, fresh map[plumbing.Hash]pack.Object, before func(Entry) error) (Entry, error) {
	c, err := d.Sign(r.author.Identity.Key)
	if err != nil {
		return Entry{}, fmt.Errorf("swarm: %w", err)
	}
	fresh[c.ID] = pack.Object{Type: plumbing.CommitObject, Data: c.Raw()}
	r.k.objects = overlay{r.store, fresh}
	err = r.k.check(c)
	r.k.objects = r.store
	if err != nil {
		return Entry{}, fmt.Errorf("swarm: %w: %w", ErrNotAllowed, err)
	}
	e := entryOf(c, r.k.graph[c.ID])
	if before != nil {
		err = before(e)
	}
	if err == nil {
		err = r.keep(slices.Collect(maps.Values(fresh)), c.ID)
	}
	if err != nil {
		delete(r.k.graph, c.ID)
		return Entry{}, err
	}
	return e, nil
}

// keep stores objects, then makes a commit the head; mu is held.
func (r *Repository) keep(objects []pack.Object, head plumbing.Hash) error {
	if err := r.store.put(objects); err != nil {
		return fmt.Errorf("swarm: %w", err)
	}
	if err := r.store.setHead(head); err != nil {
		return fmt.Errorf("swarm: %w", err)
	}
	r.head = head
	return nil
}
