package receive

import (
	"testing"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
)

// until is how many packets are passed over before one is looked into.
func (l *look) until(sign codec.Sign) int {
	n := 0
	for ; !l.due(sign, audio.FrameSamples); n++ {
		l.since += audio.FrameSamples
	}
	l.since = 0
	return n
}

// An encoder's word that there is no voice is taken for longer each time that it is true, and hardly once it was not.
func TestASignIsBelievedAsItProvesTrue(t *testing.T) {
	l := newLook(0)
	if n := l.until(codec.Quiet); n != 0 {
		t.Errorf("the first packet of all comes after %d", n)
	}
	if n := l.until(codec.Quiet); n != 9 {
		t.Errorf("the first of quiet after %d packets", n)
	}
	for range 100 {
		l.learn(codec.Quiet, false)
	}
	if n := l.until(codec.Quiet); n != 24 {
		t.Errorf("one of long quiet after %d packets", n)
	}
	if n := l.until(codec.Calm); n != 2 {
		t.Errorf("one that only shows no change after %d packets", n)
	}
	l.learn(codec.Quiet, true)
	if n := l.until(codec.Quiet); n != 2 {
		t.Errorf("one whose word was wrong after %d packets", n)
	}
	l.learn(codec.Quiet, false)
	if n := l.until(codec.Quiet); n != 3 {
		t.Errorf("one whose word was true again after %d packets", n)
	}
}

// Callers who came at once are not all looked into in the same tick.
func TestLooksAreSpread(t *testing.T) {
	first := map[int]int{}
	for ssrc := range uint32(1000) {
		l := newLook(ssrc)
		l.since = l.spread
		first[l.until(codec.Quiet)]++
	}
	for after, n := range first {
		if n > 150 {
			t.Errorf("%d of 1000 after %d packets", n, after)
		}
	}
}
