package minutes

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"rendezvous/swarm"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// Recording is a finished recording, for the members.
type Recording struct {
	Name    string // for people, without an extension
	Meeting string // path of the film, .mp4
	SHA3    string // of the film, SHA3-512 in hex; "" if it is not known
	Sidecar string // path of what is known of it, .json; "" for none
}

// ErrNotOpen says that the room's conversation is not open, yet or any more.
var ErrNotOpen = errors.New("minutes: the room's conversation is not open")

// looked is how far back in the history a file is looked for that may have been sent before a crash.
const looked = 500

// Keep tells the members of a recording, and serves it to them from where it is until Forget. It
// returns "CONVERSATION/COMMIT", the message about the film. Told again of the same, it does not
// repeat itself. The error is ErrNotOpen, the context's, or that of the conversation, which may be
// damaged or full: ask again later.
func (m *Minutes) Keep(ctx context.Context, r Recording) (ref string, err error) {
	c := m.own.Load()
	if c == nil || m.ctx.Err() != nil {
		return "", ErrNotOpen
	}
	film, found := m.sent(c, r.SHA3)
	if !found {
		if film, err = c.SendFile(r.Meeting, r.Name+filepath.Ext(r.Meeting)); err != nil {
			return "", err
		}
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	id := film.ID.String()
	if _, told := m.state.get().Files[id]; !told && r.Sidecar != "" {
		sidecar, err := c.SendFile(r.Sidecar, r.Name+filepath.Ext(r.Sidecar))
		if err != nil {
			return "", err
		}
		if err := m.state.change(func(d *stateData) { d.Files = with(d.Files, id, sidecar.ID.String()) }); err != nil {
			return "", err
		}
	}
	return c.ID() + "/" + id, nil
}

// sent finds our message about a file with a hash among the newest.
func (m *Minutes) sent(c *swarm.Conversation, sha3 string) (repo.Entry, bool) {
	if sha3 == "" {
		return repo.Entry{}, false
	}
	entries, err := c.Repository().Log(looked)
	if err != nil {
		return repo.Entry{}, false
	}
	for _, e := range entries {
		if e.Device == m.cfg.Device && e.Message.Type == commit.TypeFile && e.Message.Get("sha3sum") == sha3 {
			return e, true
		}
	}
	return repo.Entry{}, false
}

// Forget serves a recording no longer, as its files are gone, and tells the members. ref is what
// Keep returned; one of a conversation that is no more is no error. The error is ErrNotOpen, or that
// of the conversation: ask again later.
func (m *Minutes) Forget(ref string) error {
	conversation, id, _ := strings.Cut(ref, "/")
	if m.own.Load() == nil || m.ctx.Err() != nil {
		return ErrNotOpen
	}
	c := m.swarm.Conversation(conversation)
	if c == nil {
		return nil // of a conversation that is no more
	}
	film, err := entryOf(c, id)
	if err != nil {
		return fmt.Errorf("minutes: %w", err)
	}
	if err := c.ForgetFile(film); err != nil {
		return err
	}
	if sidecar := m.state.get().Files[id]; sidecar != "" {
		e, err := entryOf(c, sidecar)
		if err == nil {
			err = c.ForgetFile(e)
		}
		if err != nil {
			return fmt.Errorf("minutes: %w", err)
		}
	}
	name := film.Message.Get("displayName")
	if _, err := c.Say(commit.Reply("The recording "+name+" has been deleted and can no longer be downloaded.", film.ID)); err != nil {
		return err
	}
	return m.state.change(func(d *stateData) { d.Files = with(d.Files, id, "") })
}

// entryOf reads a message by its id, 40 hex digits.
func entryOf(c *swarm.Conversation, id string) (e repo.Entry, err error) {
	if len(id) != 2*len(e.ID) {
		return e, repo.ErrNotFound
	}
	if _, err := hex.Decode(e.ID[:], []byte(id)); err != nil {
		return e, repo.ErrNotFound
	}
	return c.Entry(e.ID)
}
