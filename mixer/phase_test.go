package mixer

import (
	"math/rand/v2"
	"testing"
	"time"
)

// camera is when pictures become ready: each interval, and later by up to jitter.
type camera struct{ first, interval, jitter time.Duration }

// waits plays a minute of passes, and returns how long pictures of the cameras waited in the second half of it on average, which share
// was taken only by the next pass but one, or never, and the shortest and longest interval of the clock.
func waits(cameras []camera) (average time.Duration, missed float64, shortest, longest time.Duration) {
	random := rand.New(rand.NewPCG(1, 2))
	epoch := time.Unix(1000, 0)
	p := phase{epoch: epoch}
	pass := epoch
	next := make([]int, len(cameras))
	late := make([]time.Duration, len(cameras))
	var sum time.Duration
	var n, lost int
	shortest, longest = time.Hour, 0
	for range 1800 {
		for i, c := range cameras {
			taken := 0
			for {
				at := epoch.Add(c.first + time.Duration(next[i])*c.interval + late[i])
				if at.After(pass) {
					break
				}
				p.ready(at)
				if pass.Sub(epoch) > 30*time.Second {
					sum += pass.Sub(at)
					n++
					if taken > 0 {
						lost++
					}
				}
				taken++
				next[i]++
				if c.jitter > 0 {
					late[i] = time.Duration(random.Int64N(int64(c.jitter)))
				}
			}
		}
		interval := pictureInterval + p.turn(pass)
		shortest, longest = min(shortest, interval), max(longest, interval)
		pass = pass.Add(interval)
	}
	return sum / time.Duration(n), float64(lost) / float64(n), shortest, longest
}

func TestPhase(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name    string
		cameras []camera
		most    time.Duration // that pictures wait on average
		missed  float64
	}{
		{"one", []camera{{20 * ms, pictureInterval, 0}}, 4 * ms, 0},
		{"one, just after the passes", []camera{{1 * ms, pictureInterval, 0}}, 4 * ms, 0},
		{"one that is slow", []camera{{5 * ms, time.Second * 1001 / 30000, 0}}, 4 * ms, 0},
		{"one that is fast", []camera{{5 * ms, time.Second * 1000 / 30030, 0}}, 7 * ms, .002},
		{"one with jitter", []camera{{7 * ms, pictureInterval, 8 * ms}}, 9 * ms, .01},
		{"one of 15", []camera{{20 * ms, 2 * pictureInterval, 0}}, 4 * ms, 0},
		{"one of 25", []camera{{20 * ms, 40 * ms, 0}}, 18 * ms, 0},
		{"two that are near", []camera{{3 * ms, pictureInterval, 0}, {9 * ms, pictureInterval, 0}}, 7 * ms, 0},
		{"two at odds", []camera{{3 * ms, pictureInterval, 0}, {20 * ms, pictureInterval, 0}}, 13 * ms, 0},
		{"four", []camera{{2 * ms, pictureInterval, 2 * ms}, {9 * ms, pictureInterval, 2 * ms}, {17 * ms, pictureInterval, 2 * ms}, {29 * ms, pictureInterval, 2 * ms}}, 17 * ms, .01},
	} {
		average, missed, shortest, longest := waits(c.cameras)
		t.Logf("%s: %v, %.4f missed, intervals of %v to %v", c.name, average, missed, shortest, longest)
		if average > c.most {
			t.Errorf("%s: pictures wait %v on average, at most %v was expected", c.name, average, c.most)
		}
		if missed > c.missed {
			t.Errorf("%s: %.4f of the pictures are never shown", c.name, missed)
		}
		if shortest < pictureInterval-phaseStep || longest > pictureInterval+phaseStep {
			t.Errorf("%s: intervals of %v to %v", c.name, shortest, longest)
		}
	}
}

// TestPhaseStays: pictures that are seldom, or none, do not turn the clock.
func TestPhaseStays(t *testing.T) {
	epoch := time.Unix(1000, 0)
	p := phase{epoch: epoch}
	for n := range 300 {
		at := epoch.Add(time.Duration(n) * pictureInterval)
		if n%30 == 0 {
			p.ready(at.Add(-20 * time.Millisecond))
		}
		if by := p.turn(at); by != 0 {
			t.Fatalf("turned by %v in pass %d", by, n)
		}
	}
}
