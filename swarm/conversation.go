package swarm

import (
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/value"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// Conversation is one conversation of a Swarm. Every change is announced to the
// other members.
type Conversation struct {
	swarm *Swarm
	repo  *repo.Repository
	files *fileIndex

	order sync.Mutex // held while the history grows and its events are queued, so that these are in order
}

func newConversation(s *Swarm, r *repo.Repository) *Conversation {
	id := r.ID().String()
	for _, note := range r.Notes() {
		s.log.Warn("swarm: a conversation was put in order", "conversation", id, "note", note)
	}
	files, err := openFileIndex(s.path(id) + ".files.json")
	if err != nil {
		s.log.Error("swarm: the list of files that are offered", "conversation", id, "error", err)
	}
	c := &Conversation{swarm: s, repo: r, files: files}
	// It may be found with locks held, so only an event is queued.
	r.OnDamage(func(reason error) { s.events.add(func() { s.damage(id, reason) }) })
	if reason := r.Damaged(); reason != nil { // found before
		s.events.add(func() { s.damage(id, reason) })
	}
	return c
}

// ID is 40 hex digits.
func (c *Conversation) ID() string { return c.repo.ID().String() }

// Repository has the history, members and profile, for reading.
func (c *Conversation) Repository() *repo.Repository { return c.repo }

// Damaged is why the conversation cannot be written to, or nil: what was found damaged on our disk is being fetched from
// other members.
func (c *Conversation) Damaged() error { return c.repo.Damaged() }

// grow makes commits and tells of them.
func (c *Conversation) grow(f func() ([]repo.Entry, error)) ([]repo.Entry, error) {
	c.order.Lock()
	entries, err := f()
	c.tell(entries)
	c.order.Unlock()
	if len(entries) > 0 {
		c.swarm.announce(c, value.LongID{})
	}
	return entries, err
}

// tell queues events; order is held.
func (c *Conversation) tell(entries []repo.Entry) {
	for _, e := range entries {
		c.swarm.cfg.Metrics.commit(e)
		if c.swarm.cfg.OnEntry != nil {
			c.swarm.events.add(func() { c.swarm.cfg.OnEntry(c, e) })
		}
	}
}

func (c *Conversation) one(f func() (repo.Entry, error)) (repo.Entry, error) {
	entries, err := c.grow(func() ([]repo.Entry, error) {
		e, err := f()
		if err != nil {
			return nil, err
		}
		return []repo.Entry{e}, nil
	})
	if err != nil {
		return repo.Entry{}, err
	}
	return entries[0], nil
}

// Say appends a message: commit.Text, commit.Reply, commit.CallEnded … It returns when
// the message is on the disk, and fails with repo.ErrNotAllowed for who may not write
// here, repo.ErrDamaged while the conversation is, or as the disk does; nothing is
// appended then. The methods below fail alike.
func (c *Conversation) Say(m commit.Message) (repo.Entry, error) {
	return c.one(func() (repo.Entry, error) { return c.repo.Say(m) })
}

// Invite adds an account and sends it the invitation, now and whenever one of its devices
// connects until it has joined. It fails as Say does; repo.ErrNotAllowed also means that
// the account belongs to the conversation, or is banned.
func (c *Conversation) Invite(account value.Key) (repo.Entry, error) {
	e, err := c.one(func() (repo.Entry, error) { return c.repo.Invite(account) })
	if err == nil {
		c.swarm.reach(account, c.ID(), false)
	}
	return e, err
}

// Leave takes us out of the conversation. The history stays on the disk. It fails as Say
// does.
func (c *Conversation) Leave() (repo.Entry, error) { return c.one(c.repo.Leave) }

// SetProfile changes title, description and picture. Admins may, others get
// repo.ErrNotAllowed. A profile of more than repo.MaxProfile bytes is refused; else it
// fails as Say does.
func (c *Conversation) SetProfile(p repo.Profile) (repo.Entry, error) {
	return c.one(func() (repo.Entry, error) { return c.repo.SetProfile(p) })
}

// Ban votes for the ban of an account and reports whether it is banned now. Admins may. An
// account that is not here is an error; else it fails as Say does.
func (c *Conversation) Ban(account value.Key) (banned bool, err error) {
	_, err = c.grow(func() (entries []repo.Entry, err error) {
		entries, banned, err = c.repo.Ban(account)
		return entries, err
	})
	return banned, err
}

// Unban votes for lifting a ban and reports whether it is lifted now. Admins may. An account
// that is not banned is an error; else it fails as Say does.
func (c *Conversation) Unban(account value.Key) (lifted bool, err error) {
	_, err = c.grow(func() (entries []repo.Entry, err error) {
		entries, lifted, err = c.repo.Unban(account)
		return entries, err
	})
	return lifted, err
}

// Entry reads a commit. The error wraps repo.ErrNotFound, or repo.ErrDamaged.
func (c *Conversation) Entry(id plumbing.Hash) (repo.Entry, error) { return c.repo.Entry(id) }
