package conversation

import (
	"os"
	"testing"

	"rendezvous/dht/value"
	"rendezvous/signalling/jami/account/accounttest"
	"rendezvous/swarm"
)

// recorded is a message of a daemon of August 2026 (jami-daemon 83aea32cd6), as it came.
func recorded(t testing.TB, name string) []byte {
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordedMessages(t *testing.T) {
	b := recorded(t, "jamid-2026.msg")
	mime, body, used, err := parseMsg(b)
	if err != nil || used != len(b) || mime != swarm.TypeCommit ||
		string(body) != `{"commit":"60ab926b8898fef14f0067c2432ec0693a0a9c47","deviceId":"edfefb6f6eef18602cb9e7eb538384a5a4de6431007aca79507974bbbf1ef44c","id":"2092979c2be33ebad28063d67133e5a1215f7895"}` {
		t.Errorf("%q %q, %d of %d bytes, %v", mime, body, used, len(b), err)
	}
	b = recorded(t, "jamid-2026.swarm")
	if num, used, err := parseFind(b); num != 2 || used != len(b) || err != nil {
		t.Errorf("asks for %d, %d of %d bytes, %v", num, used, len(b), err)
	}
}

// Two contacts, one of them banned, and three conversations, one of them left: times are in
// seconds, and again in milliseconds; what stands for an absent date is any number.
func TestRecordedSync(t *testing.T) {
	b := recorded(t, "jamid-2026-contacts.sync")
	m, used, err := parseSync(b)
	if err != nil || used != len(b) || len(m.contacts) != 2 || len(m.conversations) != 0 {
		t.Fatalf("%+v, %d of %d bytes, %v", m, used, len(b), err)
	}
	for _, c := range m.contacts {
		banned := c.Account == accounttest.Key(t, "ce2e223ae39a5f63f0e926670461f738e7c8648b")
		if c.Banned != banned || c.Added.Unix() < 1795899903 || c.Removed.Before(c.Added) {
			t.Errorf("%+v", c)
		}
	}
	b = recorded(t, "jamid-2026-conversations.sync")
	m, used, err = parseSync(b)
	if err != nil || used != len(b) || len(m.contacts) != 0 || len(m.conversations) != 3 {
		t.Fatalf("%+v, %d of %d bytes, %v", m, used, len(b), err)
	}
	left := 0
	for _, c := range m.conversations {
		if _, err := value.ParseKey(c.id); err != nil || c.created < 1795899901 {
			t.Errorf("%+v", c)
		}
		if c.removed > 0 {
			left++
		}
	}
	if left != 1 {
		t.Errorf("%d conversations were left, want 1: %+v", left, m.conversations)
	}
}
