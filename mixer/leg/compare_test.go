package leg

import (
	"testing"
	"time"
)

// However sound and picture are late by turns, in the end only one of them is made to wait, and as little as will do.
func TestOnlyTheEarlierOneWaits(t *testing.T) {
	now := time.Unix(1000, 0)
	var l lipSync
	var sound, picture time.Duration // how long they wait
	const natural = 40 * ms
	towards := func(v *time.Duration, to, up, down time.Duration) { *v += min(max(to-*v, -down), up) }
	for _, phase := range []struct{ apart, sound, picture time.Duration }{
		// How much later the picture comes, and how long each is to wait in the end.
		{0, 40 * ms, 0}, {-200 * ms, 40 * ms, 160 * ms}, {200 * ms, 240 * ms, 0}, {0, 40 * ms, 0}, {200 * ms, 240 * ms, 0}, {-100 * ms, 40 * ms, 60 * ms},
	} {
		for range 30 * 60 { // pictures
			now = now.Add(time.Second / 30)
			l.compare(phase.apart+40*ms+picture-sound, sound, picture, now)
			towards(&sound, max(natural, l.soundHeld), 4*ms, ms)
			towards(&picture, l.pictureHeld, holdUp, holdDown)
		}
		near := func(a, b time.Duration) bool { return a-b <= 2*inSync+ms && b-a <= 2*inSync+ms }
		if apart := phase.apart + 40*ms + picture - sound; apart > inSync+ms || apart < -inSync-ms || !near(sound, phase.sound) || !near(picture, phase.picture) {
			t.Errorf("the picture %v later: sound waits %v, want %v; the picture %v, want %v; %v apart", phase.apart, sound, phase.sound, picture, phase.picture, apart)
		}
	}
}
