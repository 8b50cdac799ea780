package conversation

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"rendezvous/dht/msgpack"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/account"
)

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
