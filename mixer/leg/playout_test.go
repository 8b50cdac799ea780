//go:build !race

// One goroutine, and days of pictures: nothing for the race detector.

package leg

import (
	"testing"
	"time"
)

// A clock that is wrong holds nothing back in a day, and a path that becomes longer is followed without a hold.
func TestPlayoutFollowsClocksAndPaths(t *testing.T) {
	for _, ppm := range []float64{-200, 0, 200} {
		var p playout
		longest, late := time.Duration(0), time.Duration(0)
		const day = 24 * time.Hour
		for n := 0; ; n++ {
			sent := time.Duration(n) * time.Second / 30
			if sent > day {
				break
			}
			ts := uint32(int64(float64(sent) * (1 + ppm/1e6) * 9 / 1e5)) // wraps twice
			now := sent + 20*time.Millisecond + time.Duration(n%4)*3*time.Millisecond
			if sent > day/2 {
				now += 150 * time.Millisecond
			}
			due := p.place(ts, now)
			longest = max(longest, due-now)
			if sent > day/2+10*time.Second {
				late = max(late, due-now)
			}
		}
		if longest > 20*time.Millisecond || p.even != 0 || late > 5*time.Millisecond {
			t.Errorf("%v ppm: a picture is held for %v, %v in the end", ppm, longest, p.even)
		}
	}
}

// Many late pictures are met with a hold, which goes away with them; a jump of the timestamps begins anew.
func TestPlayoutHoldsWhatComesUnevenly(t *testing.T) {
	var p playout
	now, ts := time.Duration(0), uint32(1<<32-90000)
	play := func(pictures int, lateness time.Duration) (shownLate int) {
		for n := range pictures {
			now += time.Second / 30
			ts += 3000
			late := time.Duration(0)
			if n%10 == 9 {
				late = lateness
			}
			if p.place(ts, now+late) < now+late {
				shownLate++
			}
		}
		return shownLate
	}
	play(600, 200*time.Millisecond)
	if p.even < 200*time.Millisecond || p.even > 220*time.Millisecond {
		t.Errorf("held for %v, where one in ten is 200 ms late", p.even)
	}
	if n := play(300, 200*time.Millisecond); n > 0 {
		t.Errorf("%d of 300 are shown late all the same", n)
	}
	play(300, 3*time.Second)
	if p.even > maxEven {
		t.Errorf("held for %v", p.even)
	}
	play(3000, 0)
	if p.even != 0 {
		t.Errorf("still held for %v a hundred seconds after", p.even)
	}
	ts += 1 << 31
	if play(30, 0); p.even != 0 {
		t.Errorf("held for %v after a jump", p.even)
	}
}
