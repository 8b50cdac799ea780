// Package conversationtest makes accounts with conversations for tests.
package conversationtest

import (
	"context"
	"crypto/sha3"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/internal/atomicfile"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/account/accounttest"
	"rendezvous/signalling/jami/conversation"
	"rendezvous/signalling/jami/sipchannel"
	"rendezvous/swarm"
	"rendezvous/swarm/repo"
)

// Host is our side: an account with its conversations.
type Host struct {
	Account *account.Account
	SIP     *sipchannel.Exchange
	Service *conversation.Service
	// What happens in the conversations, what we have joined, and what we are invited to.
	Entries <-chan Entry
	Joined  <-chan *swarm.Conversation
	Invited <-chan swarm.Invitation

	t     testing.TB
	dir   string // of the conversations
	files string // of what is sent, by keys
}

// Entry is one of a conversation.
type Entry struct {
	Conversation *swarm.Conversation
	repo.Entry
}

// Open opens an account with its conversations, and closes it when the test ends.
func Open(t testing.TB, on *accounttest.Host, cfg account.Config) *Host {
	t.Helper()
	cfg.Logger = accounttest.Logger(t, cfg.DisplayName)
	a := on.Open(t, cfg)
	x := sipchannel.New(sipchannel.Config{Account: a.ID().String(), Name: a.DisplayName,
		Dial: func(ctx context.Context, to identity.KeyIDs, connType string) (sipchannel.Stream, error) {
			ch, err := a.OpenChannel(ctx, to, "sip", connType)
			if err != nil {
				return nil, err
			}
			return ch, nil
		}})
	entries, joined, invited := make(chan Entry, 1000), make(chan *swarm.Conversation, 100), make(chan swarm.Invitation, 100)
	h := &Host{Account: a, SIP: x, Entries: entries, Joined: joined, Invited: invited, t: t, dir: t.TempDir(), files: t.TempDir()}
	var err error
	h.Service, err = conversation.New(conversation.Config{Account: a, SIP: x, Log: cfg.Logger, Swarm: swarm.Config{
		Dir:          h.dir,
		OnEntry:      func(c *swarm.Conversation, e repo.Entry) { entries <- Entry{c, e} },
		OnJoined:     func(c *swarm.Conversation) { joined <- c },
		OnInvitation: func(i swarm.Invitation) { invited <- i },
		OpenFile:     func(key string) (io.ReadSeekCloser, error) { return os.Open(filepath.Join(h.files, key)) },
	}})
	if err != nil {
		t.Fatal(err)
	}
	a.OnSIPChannel(x.Serve)
	t.Cleanup(func() { h.Service.Close(); x.Close() })
	return h
}

// Start starts the account, waits until others can find it, and starts its conversations.
func (h *Host) Start() {
	h.t.Helper()
	accounttest.Start(h.t, h.Account)
	h.Service.Start()
}

// Repository is where a conversation is kept.
func (h *Host) Repository(c *swarm.Conversation) string { return filepath.Join(h.dir, c.ID()) }

// File has a file lie where the conversations find it, and returns it to be sent.
func (h *Host) File(name string, content []byte) swarm.File {
	h.t.Helper()
	sum := sha3.Sum512(content)
	f := swarm.File{Name: name, Key: "room/1/" + name, Size: int64(len(content)), SHA3: hex.EncodeToString(sum[:])}
	path := filepath.Join(h.files, f.Key)
	if err := errors.Join(atomicfile.MkdirAll(filepath.Dir(path), 0o700), atomicfile.Write(path, content, 0o600)); err != nil {
		h.t.Fatal(err)
	}
	return f
}

// Hears waits for a line of chat at our side.
func (h *Host) Hears(body string) Entry {
	h.t.Helper()
	return accounttest.Next(h.t, h.Entries, body, func(e Entry) bool { return e.Message.Get("body") == body })
}

// Knows reports how the host stands to an account.
func (h *Host) Knows(id value.Key) (contact, banned bool) {
	for _, c := range h.Account.Contacts() {
		if c.Account == id {
			return !c.Banned, c.Banned
		}
	}
	return false, false
}

// Must returns what a call has returned, and ends the test if that was an error.
func Must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
