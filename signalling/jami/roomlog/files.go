package roomlog

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"rendezvous/swarm"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// Recording is a finished recording, for the members.
type Recording struct {
	Film    swarm.File
	Sidecar swarm.File // what is known of it; without a key: there is none
}

// ErrNotOpen says that the room's conversation is not open, yet or any more.
var ErrNotOpen = errors.New("roomlog: the room's conversation is not open")

// looked is how far back in the history a file is looked for that may have been sent before a crash.
const looked = 500

// Keep tells the members of a recording, and serves it to them until Forget. It returns "CONVERSATION/COMMIT", the message
// about the film. Told again of the same, it does not repeat itself. The error is ErrNotOpen, the context's, or that of the
// conversation, which may be damaged or full: ask again later.
func (m *Log) Keep(ctx context.Context, r Recording) (ref string, err error) {
	c := m.own.Load()
	if c == nil || m.ctx.Err() != nil {
		return "", ErrNotOpen
	}
	film, err := m.send(c, r.Film)
	if err != nil {
		return "", err
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	id := film.ID.String()
	if _, told := m.state.get().Files[id]; !told && r.Sidecar.Key != "" {
		sidecar, err := m.send(c, r.Sidecar)
		if err != nil {
			return "", err
		}
		if err := m.state.change(func(d *stateData) { d.Files = with(d.Files, id, sidecar.ID.String()) }); err != nil {
			return "", err
		}
	}
	return c.ID() + "/" + id, nil
}

// send tells the members of a file, unless that was done before a crash.
func (m *Log) send(c *swarm.Conversation, f swarm.File) (repo.Entry, error) {
	if e, found := m.sent(c, f.SHA3); found {
		return e, nil
	}
	return c.SendFile(f)
}

// sent finds our message about a file with a hash among the newest.
func (m *Log) sent(c *swarm.Conversation, sha3 string) (repo.Entry, bool) {
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
func (m *Log) Forget(ref string) error {
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
		return fmt.Errorf("roomlog: %w", err)
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
			return fmt.Errorf("roomlog: %w", err)
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
