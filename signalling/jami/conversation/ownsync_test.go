package conversation

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rendezvous/dht"
	"rendezvous/dht/identity"
	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/connection/icetcp"
	"rendezvous/signalling/jami/connection/mux"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// alone makes a host that finds others on this machine alone, with the keys given.
func alone(t *testing.T, bootstrap []string, name string, keys *identity.Account) (*host, []string) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level()})).With("host", name)
	node, err := dht.New(dht.Config{IPv4: "127.0.0.1:0", Bootstrap: bootstrap})
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	listener, err := icetcp.Listen("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close(); node.Close() })
	dir := t.TempDir()
	if err := keys.Save(filepath.Join(dir, "account", "identity")); err != nil {
		t.Fatal(err)
	}
	a, err := account.Open(account.Config{
		Dir: filepath.Join(dir, "account"), DisplayName: name, Node: node, Listener: listener, AllowLoopback: true,
		Gatherer: &icetcp.Gatherer{Listener: listener, Hosts: []netip.Addr{netip.MustParseAddr("127.0.0.1")}},
		Policy:   account.Policy{Admission: account.ContactsOnly}, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	x := newExchange(a)
	a.OnSIPChannel(x.Serve)
	h := &host{t, a, x, nil, filepath.Join(dir, "conversations"), make(chan entry, 1000), make(chan *swarm.Conversation, 100), make(chan swarm.Invitation, 100)}
	h.service = must[*Service](t)(New(Config{Account: a, SIP: x, Log: log, Swarm: swarm.Config{
		Dir:          h.dir,
		OnEntry:      func(c *swarm.Conversation, e repo.Entry) { h.entries <- entry{c, e} },
		OnJoined:     func(c *swarm.Conversation) { h.joined <- c },
		OnInvitation: func(i swarm.Invitation) { h.invited <- i },
	}}))
	t.Cleanup(func() { h.service.Close(); x.Close(); a.Close() })
	if bootstrap == nil {
		bootstrap = []string{node.Addrs()[0].String()}
	}
	return h, bootstrap
}

func (h *host) start() {
	h.t.Helper()
	if err := h.account.Start(context.Background()); err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	if err := h.account.WaitPublished(ctx); err != nil {
		h.t.Fatal(err)
	}
	h.service.Start()
}

func (h *host) eventually(what string, ok func() bool) {
	h.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("not in time: %s", what)
		}
	}
}

// knows reports how the host stands to an account.
func (h *host) knows(id value.Key) (contact, banned bool) {
	for _, c := range h.account.Contacts() {
		if c.Account == id {
			return !c.Banned, c.Banned
		}
	}
	return false, false
}

// Two devices of one account have the same contacts and conversations, whoever changed them and
// whenever, and hear of what is said. Devices of other accounts get no channel.
func TestTwoDevicesOfOneAccount(t *testing.T) {
	now := time.Now()
	first := must[*identity.Account](t)(identity.NewAccountBits(now, 2048))
	second := must[*identity.Account](t)(identity.NewDevice(first.Master, first.CA, now, 2048))
	a, network := alone(t, nil, "first", first)
	b, _ := alone(t, network, "second", second)
	stranger, _ := alone(t, network, "stranger", must[*identity.Account](t)(identity.NewAccountBits(now, 2048)))
	if a.account.ID() != b.account.ID() || a.account.Device() == b.account.Device() {
		t.Fatal("not two devices of one account")
	}
	// From before they met.
	friend, foe, left := value.RandomKey(), value.RandomKey(), value.RandomKey()
	for _, err := range []error{
		a.account.AddContact(friend), a.account.Ban(foe), b.account.AddContact(left), b.account.RemoveContact(left),
		a.account.AddContact(stranger.account.ID()),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	ours := must[*swarm.Conversation](t)(a.service.Swarm().Create(commit.InvitesOnly, nil))
	must[repo.Entry](t)(ours.Say(commit.Text("from before")))
	theirs := must[*swarm.Conversation](t)(b.service.Swarm().Create(commit.InvitesOnly, nil))
	a.start()
	b.start()
	b.eventually("contacts at the second", func() bool {
		contact, _ := b.knows(friend)
		_, banned := b.knows(foe)
		return contact && banned
	})
	both := func(id string) {
		t.Helper()
		for _, h := range []*host{a, b} {
			h.eventually("conversation "+id, func() bool { return h.service.Swarm().Conversation(id) != nil })
		}
	}
	both(ours.ID())
	both(theirs.ID())
	// What changes now.
	if err := b.account.RemoveContact(friend); err != nil {
		t.Fatal(err)
	}
	if err := b.account.Ban(left); err != nil {
		t.Fatal(err)
	}
	a.eventually("removal and ban at the first", func() bool {
		contact, _ := a.knows(friend)
		_, banned := a.knows(left)
		return !contact && banned
	})
	later := must[*swarm.Conversation](t)(b.service.Swarm().Create(commit.AdminInvitesOnly, nil)) // the same kind in the same second is the same
	both(later.ID())
	must[repo.Entry](t)(later.Say(commit.Text("said on the second")))
	if e := a.hears("said on the second"); e.Device != b.account.Device().Long || e.Account != a.account.ID() {
		t.Errorf("from %s of %s", e.Device, e.Account)
	}
	must[repo.Entry](t)(a.service.Swarm().Conversation(later.ID()).Say(commit.Text("said on the first")))
	b.hears("said on the first")
	a.eventually("the same history", func() bool {
		return a.service.Swarm().Conversation(later.ID()).Repository().Head() == later.Repository().Head()
	})
	// Left on one device, it is left on both.
	must[repo.Entry](t)(later.Leave())
	a.eventually("left at the first", func() bool {
		return !a.service.Swarm().Conversation(later.ID()).Repository().Role(a.account.ID()).Belongs()
	})
	for _, h := range []*host{a, b} {
		if _, err := h.service.Swarm().Conversation(later.ID()).Repository().Verify(); err != nil {
			t.Error(err)
		}
	}

	stranger.start()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	name := syncScheme + a.account.Device().Long.String()
	if _, err := stranger.account.OpenChannel(ctx, a.account.Device(), name, "sync"); !errors.Is(err, mux.ErrDeclined) {
		t.Errorf("a channel for a stranger: %v", err)
	}
	if _, err := b.account.OpenChannel(ctx, a.account.Device(), syncScheme+b.account.Device().Long.String(), "sync"); !errors.Is(err, mux.ErrDeclined) {
		t.Errorf("a channel to another device than ours: %v", err)
	}
}

func TestSyncMessages(t *testing.T) {
	var m syncMsg
	for i := range 200 {
		id := value.Key{1, byte(i)}
		m.contacts = append(m.contacts, account.Contact{Account: id, Added: time.Unix(5, 0).UTC(), Removed: time.Unix(int64(6+i), 0).UTC(), Banned: i%2 == 0})
		c := syncConversation{id: id.String(), created: 5, removed: int64(i)}
		for range i {
			c.members = append(c.members, id.String())
		}
		m.conversations = append(m.conversations, c)
		m.requests = append(m.requests, syncRequest{id: id.String(), from: id.String(), title: strings.Repeat("t", 10*i), description: "d", received: 7, declined: int64(i % 3)})
	}
	var got syncMsg
	messages := m.pack()
	for _, b := range messages {
		if len(b) > maxSyncSent {
			t.Errorf("a message of %d bytes", len(b))
		}
		if _, _, err := parseSync(b[:len(b)-1]); !errors.Is(err, msgpack.ErrTruncated) {
			t.Errorf("cut off: %v", err)
		}
		part, used, err := parseSync(append(bytes.Clone(b), 0x90))
		if err != nil || used != len(b) {
			t.Fatalf("%d of %d bytes, %v", used, len(b), err)
		}
		got.contacts = append(got.contacts, part.contacts...)
		got.conversations = append(got.conversations, part.conversations...)
		got.requests = append(got.requests, part.requests...)
	}
	if !slices.Equal(got.contacts, m.contacts) || !slices.Equal(got.requests, m.requests) || len(got.conversations) != len(m.conversations) {
		t.Errorf("%d contacts, %d conversations, %d requests came through", len(got.contacts), len(got.conversations), len(got.requests))
	}
	for i, c := range got.conversations {
		if want := m.conversations[i]; c.id != want.id || c.created != want.created || c.removed != want.removed {
			t.Errorf("%+v", c)
		}
	}
	if len(syncMsg{}.pack()) != 1 {
		t.Error("nothing is said to whom there is nothing to say: a daemon then knows no device")
	}
}

func FuzzSync(f *testing.F) {
	id := value.Key{1}.String()
	for _, b := range (syncMsg{
		[]account.Contact{{Account: value.Key{1}, Added: time.Unix(5, 0)}},
		[]syncConversation{{id, 5, 6, []string{id}}}, []syncRequest{{id, id, "t", "d", 7, 8}},
	}).pack() {
		f.Add(b)
	}
	f.Add(recorded(f, "jamid-2026-contacts.sync"))
	f.Add(recorded(f, "jamid-2026-conversations.sync"))
	f.Add([]byte{0x96, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, used, err := parseSync(b)
		if used > len(b) || err == nil && used == 0 {
			t.Fatalf("%d bytes of %d used, %v", used, len(b), err)
		}
		for _, c := range m.conversations {
			if !hexID.MatchString(c.id) {
				t.Errorf("conversation %q", c.id)
			}
		}
	})
}
