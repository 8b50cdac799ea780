//go:build !race

// One goroutine, and hours of packets: nothing for the race detector.

package jitter_test

import (
	"testing"
	"time"

	"rendezvous/mixer/audio/jitter"
)

// TestDrift lets the sender's clock be wrong for two hours.
func TestDrift(t *testing.T) {
	for _, ppm := range []int{-200, 200, -10000, 10000} {
		count := 2 * 3600 * 50
		if ppm > 1000 || ppm < -1000 {
			count = 15 * 60 * 50
		}
		s := stream(count, frame)
		for i := range s {
			s[i].at += s[i].at / 1e6 * time.Duration(ppm)
		}
		o := listen(t, s, jitter.Config{})
		lag := o.delay - int(s[count-1].at*48/time.Millisecond) + (count-1)*frame
		want := (count * frame / 1e6) * ppm // that the sound had to be stretched by
		t.Logf("%+d ppm: stretched by %d ms of %d ms, delay at the end %d ms, %+v", ppm, (o.lengthened-o.shortened+o.stalled)/48, want/48, lag/48, o.stats)
		if len(o.played) != count || o.stats.Lost != 0 || o.stats.Overflow != 0 {
			t.Errorf("%+d ppm: played %d of %d: %+v", ppm, len(o.played), count, o.stats)
		}
		if lag > 80*48 || lag < 0 {
			t.Errorf("%+d ppm: delay of %d ms at the end", ppm, lag/48)
		}
		if ppm == 200 && o.stalled > atEnd {
			t.Errorf("%+d ppm: ran dry for %d ms", ppm, o.stalled/48)
		}
	}
}
