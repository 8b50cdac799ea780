package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rendezvous/dht/value"
	"rendezvous/internal/eventually"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/signalling/jami/conversation/conversationtest"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// A client is given the backup of our account and becomes another device of it. Contacts and
// conversations of either are on both, and what the client writes there appears with us.
func TestClientAsOurOtherDevice(t *testing.T) {
	t.Parallel() // daemons mostly wait
	jamilab.Run(t, jamilab.Options{Peers: 1, Bare: []int{1}}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		h := newHost(t, "The room")
		ours := conversationtest.Must[*swarm.Conversation](t)(h.Service.Swarm().Create(commit.InvitesOnly, nil))
		conversationtest.Must[repo.Entry](t)(ours.Say(commit.Text("from before")))
		file := filepath.Join(t.TempDir(), "backup.gz")
		if err := os.WriteFile(file, conversationtest.Must[[]byte](t)(h.Account.Export("")), 0o600); err != nil {
			t.Fatal(err)
		}
		p := l.Peer(1).Member(t)
		if err := p.NewAccount(ctx, "The room", map[string]string{"Account.archivePath": file}); err != nil {
			t.Fatal(err)
		}
		if p.URI != h.Account.ID().String() || p.Device == h.Account.Device().Long.String() {
			t.Fatalf("the client is device %s of %s, we are %s of %s", p.Device, p.URI, h.Account.Device(), h.Account.ID())
		}

		// Contacts, both ways.
		friend, other := value.RandomKey(), value.RandomKey()
		if err := h.Account.AddContact(friend); err != nil {
			t.Fatal(err)
		}
		eventually.True(t, "our contact at the client", func() bool { return knows(p, friend) == "contact" })
		p.Do("addContact", []any{p.Account, other.String()})
		eventually.True(t, "the client's contact with us", func() bool { contact, _ := h.Knows(other); return contact })
		if err := h.Account.Ban(friend); err != nil {
			t.Fatal(err)
		}
		eventually.True(t, "our ban at the client", func() bool { return knows(p, friend) == "banned" })
		p.Do("removeContact", []any{p.Account, other.String(), false})
		eventually.True(t, "the client's removal with us", func() bool { contact, banned := h.Knows(other); return !contact && !banned })

		// Conversations, both ways.
		eventually.True(t, "our conversation at the client", func() bool {
			var all []string
			p.Do("getConversations", []any{p.Account}, &all)
			return slices.Contains(all, ours.ID())
		})
		var id string
		p.Do("startConversation", []any{p.Account}, &id)
		eventually.True(t, "the client's conversation with us", func() bool { return h.Service.Swarm().Conversation(id) != nil })
		theirs := h.Service.Swarm().Conversation(id)
		for _, c := range []*swarm.Conversation{theirs, ours} {
			p.Say(c.ID(), "written on the client in "+c.ID())
			if e := h.Hears("written on the client in " + c.ID()); e.Account != h.Account.ID() || e.Device.String() != p.Device {
				t.Errorf("from device %s of %s", e.Device, e.Account)
			}
			conversationtest.Must[repo.Entry](t)(c.Say(commit.Text("written by the room in " + c.ID())))
			p.Gets(c.ID(), "body", "written by the room in "+c.ID())
			same(t, h, c, p)
		}

		// What happens while the client is off it hears when it is back.
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := h.Account.AddContact(other); err != nil {
			t.Fatal(err)
		}
		conversationtest.Must[repo.Entry](t)(ours.Say(commit.Text("while you were off")))
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		eventually.True(t, "the contact at the client that is back", func() bool { return knows(p, other) == "contact" })
		same(t, h, ours, p)
		p.Satisfied()
	})
}

// knows tells how the daemon stands to an account: "contact", "banned", or "".
func knows(m jamilab.Member, id value.Key) string {
	var all []map[string]string
	m.Do("getContacts", []any{m.Account}, &all)
	for _, c := range all {
		switch {
		case c["id"] != id.String():
		case c["banned"] == "true":
			return "banned"
		default:
			return "contact"
		}
	}
	return ""
}
