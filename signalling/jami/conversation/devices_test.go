package conversation_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rendezvous/conference/settings"
	"rendezvous/dht/identity"
	"rendezvous/dht/identity/identitytest"
	"rendezvous/dht/value"
	"rendezvous/internal/eventually"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/account/accounttest"
	"rendezvous/signalling/jami/connection/mux"
	"rendezvous/signalling/jami/conversation/conversationtest"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keys are those of the tests' accounts: making them takes a while.
var keys = identitytest.Accounts(2)

// alone makes hosts that find each other on this machine alone, with the keys given.
func alone(t *testing.T, keys ...*identity.Account) (hosts []*conversationtest.Host) {
	t.Helper()
	for i, on := range accounttest.Loopback(t, keys...) {
		hosts = append(hosts, conversationtest.Open(t, on, account.Config{DisplayName: fmt.Sprint("host ", i),
			Policy: account.Policy{Admission: settings.CallsContacts}}))
	}
	return hosts
}

// Two devices of one account have the same contacts and conversations, whoever changed them and
// whenever, and hear of what is said. Devices of other accounts get no channel.
func TestTwoDevicesOfOneAccount(t *testing.T) {
	first := keys()[0]
	second := conversationtest.Must[*identity.Account](t)(identity.NewDevice(first.Master, first.CA, time.Now(), 2048))
	hosts := alone(t, first, second, keys()[1])
	a, b, stranger := hosts[0], hosts[1], hosts[2]
	if a.Account.ID() != b.Account.ID() || a.Account.Device() == b.Account.Device() {
		t.Fatal("not two devices of one account")
	}
	// From before they met.
	friend, foe, left := value.RandomKey(), value.RandomKey(), value.RandomKey()
	for _, err := range []error{
		a.Account.AddContact(friend), a.Account.Ban(foe), b.Account.AddContact(left), b.Account.RemoveContact(left),
		a.Account.AddContact(stranger.Account.ID()),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	ours := conversationtest.Must[*swarm.Conversation](t)(a.Service.Swarm().Create(commit.InvitesOnly, nil))
	conversationtest.Must[repo.Entry](t)(ours.Say(commit.Text("from before")))
	theirs := conversationtest.Must[*swarm.Conversation](t)(b.Service.Swarm().Create(commit.InvitesOnly, nil))
	a.Start()
	b.Start()
	eventually.True(t, "contacts at the second", func() bool {
		contact, _ := b.Knows(friend)
		_, banned := b.Knows(foe)
		return contact && banned
	})
	both := func(id string) {
		t.Helper()
		for _, h := range []*conversationtest.Host{a, b} {
			eventually.True(t, "conversation "+id, func() bool { return h.Service.Swarm().Conversation(id) != nil })
		}
	}
	both(ours.ID())
	both(theirs.ID())
	// What changes now.
	if err := b.Account.RemoveContact(friend); err != nil {
		t.Fatal(err)
	}
	if err := b.Account.Ban(left); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "removal and ban at the first", func() bool {
		contact, _ := a.Knows(friend)
		_, banned := a.Knows(left)
		return !contact && banned
	})
	later := conversationtest.Must[*swarm.Conversation](t)(b.Service.Swarm().Create(commit.AdminInvitesOnly, nil)) // the same kind in the same second is the same
	both(later.ID())
	conversationtest.Must[repo.Entry](t)(later.Say(commit.Text("said on the second")))
	if e := a.Hears("said on the second"); e.Device != b.Account.Device().Long || e.Account != a.Account.ID() {
		t.Errorf("from %s of %s", e.Device, e.Account)
	}
	conversationtest.Must[repo.Entry](t)(a.Service.Swarm().Conversation(later.ID()).Say(commit.Text("said on the first")))
	b.Hears("said on the first")
	eventually.True(t, "the same history", func() bool {
		return a.Service.Swarm().Conversation(later.ID()).Repository().Head() == later.Repository().Head()
	})
	// Left on one device, it is left on both.
	conversationtest.Must[repo.Entry](t)(later.Leave())
	eventually.True(t, "left at the first", func() bool {
		return !a.Service.Swarm().Conversation(later.ID()).Repository().Role(a.Account.ID()).Belongs()
	})
	for _, h := range []*conversationtest.Host{a, b} {
		if _, err := h.Service.Swarm().Conversation(later.ID()).Repository().Verify(); err != nil {
			t.Error(err)
		}
	}

	stranger.Start()
	ctx, cancel := context.WithTimeout(t.Context(), accounttest.Patience)
	defer cancel()
	const scheme = "sync://"
	name := scheme + a.Account.Device().Long.String()
	if _, err := stranger.Account.OpenChannel(ctx, a.Account.Device(), name, "sync"); !errors.Is(err, mux.ErrDeclined) {
		t.Errorf("a channel for a stranger: %v", err)
	}
	if _, err := b.Account.OpenChannel(ctx, a.Account.Device(), scheme+b.Account.Device().Long.String(), "sync"); !errors.Is(err, mux.ErrDeclined) {
		t.Errorf("a channel to another device than ours: %v", err)
	}
}
