package leg

import (
	"testing"
	"time"

	"rendezvous/mixer/av"
)

// TestPicturesWait holds how long pictures wait for the canvas against when they are there and due.
func TestPicturesWait(t *testing.T) {
	var n newest
	now := time.Unix(1000, 0)
	if ready, wait := n.times(); !ready.IsZero() || wait != canvasWait {
		t.Errorf("without a picture: ready at %v, a wait of %v", ready, wait)
	}
	get := func(at time.Time) {
		if p, _ := n.get(at); p != nil {
			p.Release()
		}
	}
	for range 200 {
		n.set(av.NewPicture(16, 16), now.Add(-time.Second), now) // late: it could be shown at once
		get(now.Add(3 * time.Millisecond))
		get(now.Add(20 * time.Millisecond)) // the same again
		now = now.Add(33 * time.Millisecond)
	}
	ready, wait := n.times()
	if want := now.Add(-33 * time.Millisecond); !ready.Equal(want) {
		t.Errorf("ready at %v, want %v", ready, want)
	}
	if d := wait - 3*time.Millisecond; d < -time.Millisecond || d > time.Millisecond {
		t.Errorf("pictures have waited %v, want 3 ms", wait)
	}
	due := now.Add(50 * time.Millisecond)
	n.set(av.NewPicture(16, 16), due, now)
	get(now.Add(60 * time.Millisecond))
	if ready, _ := n.times(); !ready.Equal(due) {
		t.Errorf("a picture that is held was ready at %v, want %v", ready, due)
	}
	n.clear()
}
