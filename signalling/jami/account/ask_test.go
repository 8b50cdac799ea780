package account_test

import (
	"testing"

	"rendezvous/conference/settings"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/account/accounttest"
)

// Whom we asked while they were away is asked when they come online, although we were started again
// meanwhile.
func TestAskedWhenOnline(t *testing.T) {
	h := accounttest.Loopback(t, keys()[:3]...)
	dir := t.TempDir()
	open := func(on *accounttest.Host) *account.Account {
		return on.Open(t, account.Config{Dir: dir})
	}
	a := open(h[0])
	accounttest.Start(t, a)
	b := h[2].Open(t, account.Config{Policy: account.Policy{Requests: settings.RequestsAutomatic}}) // there, but not started
	conversation := value.RandomKey().String()
	if err := a.Ask(b.ID(), conversation); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = open(h[1])
	confirmed := make(chan account.Contact, 1)
	a.OnContact(func(c account.Contact) { confirmed <- c })
	accounttest.Start(t, a)
	accounttest.Start(t, b)
	c := accounttest.Next(t, confirmed, "acceptance", nil)
	if c.Account != b.ID() || !c.Confirmed || c.Conversation != conversation {
		t.Errorf("%+v", c)
	}
	if a.Asking() != 0 {
		t.Error("who has agreed is watched on")
	}
}

// Who is removed or banned is not asked any more.
func TestNoLongerAsked(t *testing.T) {
	a := accounttest.Loopback(t, keys()[:1]...)[0].Open(t, account.Config{})
	removed, banned := value.RandomKey(), value.RandomKey()
	for _, k := range []value.Key{removed, banned} {
		if err := a.Ask(k, ""); err != nil {
			t.Fatal(err)
		}
	}
	if a.Asking() != 2 {
		t.Fatalf("%d are asked", a.Asking())
	}
	if err := a.RemoveContact(removed); err != nil {
		t.Error(err)
	}
	if err := a.Ban(banned); err != nil {
		t.Error(err)
	}
	if a.Asking() != 0 {
		t.Errorf("%d are still asked", a.Asking())
	}
	for _, c := range a.AllContacts() {
		if c.Pending() {
			t.Errorf("%+v", c)
		}
	}
}
