package account

import (
	"testing"

	"rendezvous/dht/value"
)

// Whom we asked while he was away is asked when he comes online, although we were started again
// meanwhile.
func TestAskedWhenOnline(t *testing.T) {
	h := loopback(t, 3)
	dir := t.TempDir()
	open := func(on *host) *Account {
		c := quick(Policy{})
		c.Dir = dir
		return on.open(t, c)
	}
	a := open(h[0])
	h[0].start(t, a)
	b := h[2].open(t, quick(Policy{Requests: Automatic})) // there, but not started
	conversation := value.RandomKey().String()
	if err := a.Ask(b.ID(), conversation); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = open(h[1])
	confirmed := make(chan Contact, 1)
	a.OnContact(func(c Contact) { confirmed <- c })
	h[1].start(t, a)
	h[2].start(t, b)
	c := wait(t, confirmed, "acceptance")
	if c.Account != b.ID() || !c.Confirmed || c.Conversation != conversation {
		t.Errorf("%+v", c)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.asking) != 0 {
		t.Error("who has agreed is watched on")
	}
}

// Who is removed or banned is not asked any more.
func TestNoLongerAsked(t *testing.T) {
	a := loopback(t, 1)[0].open(t, quick(Policy{}))
	removed, banned := value.RandomKey(), value.RandomKey()
	for _, k := range []value.Key{removed, banned} {
		if err := a.Ask(k, ""); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.asking) != 2 {
		t.Fatalf("%d are asked", len(a.asking))
	}
	if err := a.RemoveContact(removed); err != nil {
		t.Error(err)
	}
	if err := a.Ban(banned); err != nil {
		t.Error(err)
	}
	if len(a.asking) != 0 {
		t.Errorf("%d are still asked", len(a.asking))
	}
	for _, c := range a.AllContacts() {
		if c.pending() {
			t.Errorf("%+v", c)
		}
	}
}
