package account

import (
	"encoding/binary"
	"path/filepath"
	"testing"

	"rendezvous/dht/value"
)

// However many strangers' devices are revoked, those of contacts stay out, over a restart too.
func TestRevokedAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked")
	r, err := openRevocations(path)
	if err != nil {
		t.Fatal(err)
	}
	device := func(n int) (id value.LongID) {
		binary.BigEndian.PutUint32(id[:], uint32(n))
		id[31] = 1
		return id
	}
	r.note(device(0), true)
	const strangers = maxRevoked + 100
	for n := 1; n < strangers; n++ {
		r.note(device(n), false)
	}
	if err := r.add(device(strangers), false); err != nil {
		t.Fatal(err)
	}
	again, err := openRevocations(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*revocations{r, again} {
		if !r.has(device(0)) {
			t.Error("a contact's device was forgotten")
		}
		if !r.has(device(strangers)) || r.has(device(1)) || len(r.revoked) != maxRevoked+1 || len(r.order) != len(r.revoked) {
			t.Errorf("%d are remembered; the newest: %v, the oldest: %v", len(r.revoked), r.has(device(strangers)), r.has(device(1)))
		}
	}
}
