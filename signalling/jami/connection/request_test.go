package connection

import (
	"os"
	"testing"
	"time"

	"rendezvous/signalling/jami/connection/icetcp"
)

// A request of a daemon of August 2026 (dhtnet 11f916f2) is read as it came.
func TestRecordedRequest(t *testing.T) {
	b, err := os.ReadFile("testdata/jamid-2026.request")
	if err != nil {
		t.Fatal(err)
	}
	q, err := parseRequest(b)
	if err != nil || q.id != 5431566188857925 || q.answer || q.connType != "sync" {
		t.Fatalf("%+v, %v", q, err)
	}
	d, err := icetcp.ParseDescription(q.ice)
	if err != nil || len(d.Candidates) != 3 || d.Candidates[0].Addr.String() != "10.77.0.11:58313" {
		t.Errorf("%+v, %v", d, err)
	}
}

// Ids of requests only get smaller, within a second, over restarts, and if the
// clock stands still or is set back.
func TestRequestIDsDescend(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := requestIDs{now: func() time.Time { return now }}
	last := uint64(1) << 42
	for i := range 5000 {
		switch {
		case i == 3000:
			now = now.Add(-time.Hour)
		case i%10 == 0:
			now = now.Add(time.Second)
		}
		id := r.next()
		if id >= last || id == 0 {
			t.Fatalf("id %d after %d", id, last)
		}
		last = id
	}
	now = now.Add(2 * time.Hour)
	again := requestIDs{now: func() time.Time { return now }}
	if id := again.next(); id >= last {
		t.Errorf("id %d after a restart, %d before", id, last)
	}
}
