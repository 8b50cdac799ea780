package account_test

import (
	"slices"
	"testing"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/account/accounttest"
)

// A contact that is removed stays removed when a device that does not know it yet tells of it, and
// over a restart; who is added again is a contact, in the same second too.
func TestRemovedContacts(t *testing.T) {
	h := accounttest.Loopback(t, keys()[:1]...)
	cfg := account.Config{Policy: account.Policy{Admission: settings.CallsContacts}}
	cfg.Dir = t.TempDir()
	now := time.Unix(1_700_000_000, 5e8)
	cfg.Now = func() time.Time { return now }
	a := h[0].Open(t, cfg)
	friend, foe := value.RandomKey(), value.RandomKey()
	changes := 0
	a.OnContactsChanged(func() { changes++ })
	var merged []account.Contact
	a.OnMergedContact(func(c account.Contact) { merged = append(merged, c) })
	for _, err := range []error{a.AddContact(friend), a.Ban(foe), a.RemoveContact(friend), a.RemoveContact(foe), a.Ban(foe)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if changes != 5 {
		t.Errorf("%d changes, want 5", changes)
	}
	before := time.Unix(now.Unix()-3600, 0).UTC()
	old := account.Contact{Account: friend, Added: before, Confirmed: true}
	if err := a.MergeContacts([]account.Contact{old, {Account: a.ID(), Added: now}, {Account: foe, Added: before}}); err != nil {
		t.Fatal(err)
	}
	if c := a.Contacts(); len(c) != 1 || c[0].Account != foe || !c[0].Banned || len(a.AllContacts()) != 2 || len(merged) != 0 {
		t.Errorf("contacts %+v of %+v, merged %+v", c, a.AllContacts(), merged)
	}
	if a.Admits(friend) || a.Admits(foe) || !a.Admits(a.ID()) {
		t.Error("admits the wrong ones")
	}
	a.Close()
	b := h[0].Open(t, cfg)
	if !slices.Equal(b.AllContacts(), a.AllContacts()) {
		t.Errorf("after a restart %+v, before %+v", b.AllContacts(), a.AllContacts())
	}
	if err := b.AddContact(friend); err != nil {
		t.Fatal(err)
	}
	if !b.Admits(friend) || b.AllContacts()[slices.IndexFunc(b.AllContacts(), func(c account.Contact) bool { return c.Account == friend })].Confirmed {
		t.Error("not added again, or confirmed by nobody")
	}
}
