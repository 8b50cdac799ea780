package dht

import (
	"net/netip"
	"testing"
	"time"

	"rendezvous/dht/value"
	"rendezvous/internal/clocktest"
)

// A time of day that is set, forward or back, ages no value.
func TestSetClockAgesNothing(t *testing.T) {
	c := clocktest.New()
	s := newStore(Limits{}.withDefaults(), &metrics{})
	s.notify = func(*slot, change) {}
	v := &value.Value{ID: 1, Type: value.UserData, Data: []byte("x")}
	began := c.Now()
	if !s.put(Key{1}, v, v.Pack(), began, began, netip.MustParseAddr("192.0.2.1")) {
		t.Fatal("not stored")
	}
	for _, step := range []time.Duration{400 * 24 * time.Hour, -800 * 24 * time.Hour} {
		c.Step(step)
		if next, any := s.expire(c.Now()); !any || next.Sub(c.Now()) > v.Type.Lifetime() || next.Sub(c.Now()) < v.Type.Lifetime()-time.Minute {
			t.Errorf("after a step of %v the value is there: %v, for %v", step, any, next.Sub(c.Now()))
		}
		// What another node says was made a minute ago by the same clock is a minute old.
		if age := c.Now().Sub(wireTime(c.Now().Add(-time.Minute).Unix(), c.Now())); age < 59*time.Second || age > 62*time.Second {
			t.Errorf("after a step of %v a value of a minute ago is %v old", step, age)
		}
	}
	if _, any := s.expire(c.Now().Add(v.Type.Lifetime() + time.Second)); any {
		t.Error("the value outlives its time")
	}
}
