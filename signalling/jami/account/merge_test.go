package account

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
)

func at(s int64) time.Time { return moment(s) }

// Of two opinions the newer counts, whoever tells it first.
func TestMergeContact(t *testing.T) {
	for name, c := range map[string]struct{ a, b, want Contact }{
		"new":                      {Contact{}, Contact{Added: at(5), Confirmed: true, Conversation: "x"}, Contact{Added: at(5), Confirmed: true, Conversation: "x"}},
		"removed after added":      {Contact{Added: at(5), Confirmed: true}, Contact{Added: at(5), Removed: at(7)}, Contact{Added: at(5), Removed: at(7)}},
		"removed at the same time": {Contact{Added: at(5)}, Contact{Removed: at(5)}, Contact{Added: at(5), Removed: at(5)}},
		"added after removed":      {Contact{Added: at(5), Removed: at(7)}, Contact{Added: at(8), Confirmed: true}, Contact{Added: at(8), Removed: at(7), Confirmed: true}},
		"banned":                   {Contact{Added: at(5)}, Contact{Added: at(5), Removed: at(6), Banned: true}, Contact{Added: at(5), Removed: at(6), Banned: true}},
		"ban lifted":               {Contact{Removed: at(6), Banned: true}, Contact{Added: at(9), Removed: at(6)}, Contact{Added: at(9), Removed: at(6)}},
		"ban forgotten":            {Contact{Removed: at(6), Banned: true}, Contact{Removed: at(8)}, Contact{Removed: at(8)}},
		"confirmed":                {Contact{Added: at(5)}, Contact{Added: at(5), Confirmed: true, Conversation: "x"}, Contact{Added: at(5), Confirmed: true, Conversation: "x"}},
	} {
		x, y := c.a, c.b
		if !x.merge(c.b) || x != c.want {
			t.Errorf("%s: %+v, want %+v", name, x, c.want)
		}
		if y.merge(c.a); y != c.want {
			t.Errorf("%s, the other way: %+v, want %+v", name, y, c.want)
		}
		if x.merge(c.b) || x.merge(c.a) {
			t.Errorf("%s: changes again", name)
		}
	}
}

// Those that were removed make room for others.
func TestContactsAreBounded(t *testing.T) {
	b, err := openBook(filepath.Join(t.TempDir(), "contacts.json"), Policy{})
	if err != nil {
		t.Fatal(err)
	}
	var first value.Key
	for i := range maxContacts {
		c := Contact{Account: value.RandomKey(), Added: at(5)}
		if i < 2 {
			c.Removed = at(int64(6 + i))
		}
		if i == 0 {
			first = c.Account
		}
		b.contacts[c.Account] = c
	}
	var more []Contact
	for range 3 {
		more = append(more, Contact{Account: value.RandomKey(), Added: at(9), Confirmed: true})
	}
	confirmed, err := b.merge(value.Key{1}, more)
	if err == nil || len(confirmed) != 2 || len(b.contacts) != maxContacts {
		t.Errorf("%d taken, %d there, %v", len(confirmed), len(b.contacts), err)
	}
	if _, there := b.contacts[first]; there {
		t.Error("the oldest removal is still there")
	}
}

func TestDeviceSync(t *testing.T) {
	want := []Contact{
		{Account: value.RandomKey(), Added: at(5), Confirmed: true, Conversation: "5e652a33b9d51b8792ea779b95f8be1cac8f108a"},
		{Account: value.RandomKey(), Added: at(5), Removed: at(6), Banned: true},
		{Account: value.RandomKey(), Removed: at(lastSecond)},
	}
	b := DeviceSync{want}.AppendTo(nil)
	r := msgpack.NewReader(b)
	if got := ReadDeviceSync(r); r.Err() != nil || r.Len() != 0 || !slices.Equal(got.Contacts, want) {
		t.Errorf("%+v, %v, want %+v", got, r.Err(), want)
	}
}

func FuzzDeviceSync(f *testing.F) {
	f.Add(DeviceSync{[]Contact{{Account: value.Key{1}, Added: at(5), Removed: at(7), Banned: true}}}.AppendTo(nil))
	f.Add([]byte{0xc0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := msgpack.NewReader(b)
		d := ReadDeviceSync(r)
		for _, c := range d.Contacts {
			if _, err := c.Added.MarshalJSON(); err != nil {
				t.Error(err)
			}
			if c.active() && c.Banned || seconds(c.Removed) > lastSecond {
				t.Errorf("%+v", c)
			}
		}
	})
}
