package receive_test

import (
	"testing"
	"time"

	"rendezvous/mixer/audio"
)

// What is heard is told with its timestamp, and waits as long as it is asked to.
func TestHeardAndMinimumDelay(t *testing.T) {
	l := newListener(t)
	if h, ok := l.r.Heard(); ok {
		t.Errorf("heard %+v before anything", h)
	}
	tone := make([]int16, 24*audio.SampleRate)
	for i := range tone {
		tone[i] = int16(8000 * (i / 50 % 2))
	}
	packets := sender{t: t, pt: 0}.send(tone)
	start := l.now
	for _, least := range []time.Duration{0, 200 * time.Millisecond} {
		l.r.SetMinimumDelay(least)
		half := packets[:len(packets)/2]
		packets = packets[len(packets)/2:]
		at := half[0].at
		for i := range half {
			half[i].at -= at
		}
		l.hear(half)
		h, ok := l.r.Heard()
		if !ok || h.SSRC != 42 || h.Clock != 8000 {
			t.Fatalf("heard %+v, %v", h, ok)
		}
		var base uint32 = 4294960000 & 0xffffffff
		sentAt := time.Duration(h.Timestamp-base) * time.Second / 8000
		if wait := h.At.Sub(start) - sentAt; wait < least || wait > least+100*time.Millisecond || h.Delay < least-20*time.Millisecond || h.Delay > wait+20*time.Millisecond {
			t.Errorf("at least %v: it plays after %v, and is said to have waited %v", least, wait, h.Delay)
		}
	}
}
