package account

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestTrustMessage(t *testing.T) {
	// The layout jamid sends: 93 bytes with an empty payload.
	m := trustMessage{conversation: "60a56c5400000000000000000000000000000001", confirm: false}
	b := m.pack()
	if len(b) != 93 || !bytes.HasPrefix(b, []byte("\x84\xa7service\xa7cx.ring\xaeconversationId\xd9\x28")) {
		t.Errorf("%d bytes: %q", len(b), b)
	}
	for name, data := range map[string]string{
		"empty":            "",
		"other service":    strings.Replace(string(b), "cx.ring", "ab.cdef", 1),
		"odd conversation": strings.Replace(string(b), "60a56c54", "../../..", 1),
		"text as confirm":  string(b[:len(b)-1]) + "\xa0",
	} {
		if _, err := parseTrustMessage([]byte(data)); !errors.Is(err, errTrustMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// recordedTrust is a request of a daemon of August 2026 (jami-daemon 83aea32cd6), as it came.
func recordedTrust(t testing.TB) []byte {
	b, err := os.ReadFile("testdata/jamid-2026.trust")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordedTrustMessage(t *testing.T) {
	m, err := parseTrustMessage(recordedTrust(t))
	if err != nil || m.conversation != "e5149400e029b1ce531b52e004e0f9bb7abec8c0" || len(m.payload) != 0 || m.confirm {
		t.Errorf("%+v, %v", m, err)
	}
}

func FuzzTrustMessage(f *testing.F) {
	f.Add(recordedTrust(f))
	f.Add(trustMessage{conversation: "60a56c5400000000000000000000000000000001", payload: []byte("x"), confirm: true}.pack())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseTrustMessage(b)
		if err != nil {
			return
		}
		again, err := parseTrustMessage(m.pack())
		if err != nil || again.conversation != m.conversation || !bytes.Equal(again.payload, m.payload) || again.confirm != m.confirm {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add(packMessage(5, "hello", time.Unix(1, 0)))
	f.Fuzz(func(t *testing.T, b []byte) { parseMessage(b) })
}

func FuzzArchive(f *testing.F) {
	f.Add([]byte(`{"ringCaKey":"","TLS.privateKeyFile":"LS0t"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := readArchive(b, ""); err == nil {
			a.account(time.Unix(1700000000, 0))
		}
	})
}
