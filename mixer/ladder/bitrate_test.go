//go:build !race

// One encode at a time, in one goroutine: nothing for the race detector.

package ladder

import (
	"testing"
)

// bits are those of the last n units.
func (w *watcher) bits(n int) (sum int) {
	for _, u := range w.units[len(w.units)-n:] {
		sum += 8 * len(u.Data)
	}
	return sum
}

// TestLoneWatcherHasTheEncoder: every bitrate of the range, up smoothly and down at once, without a key frame.
func TestLoneWatcherHasTheEncoder(t *testing.T) {
	for _, codec := range []Codec{H264, VP8} {
		t.Run(string(codec), func(t *testing.T) {
			l := newLab(t, ranged)
			v := watching(codec, 0)
			for _, budget := range []int{400_000, 430_000, 555_000, 700_000, 2_000_000, 350_000, 300_000} {
				v.wants[0].Bitrate = budget
				before := 1 << 30
				if len(v.units) > 0 {
					before = v.last().Bitrate
				}
				l.pass(1, v)
				if got := v.last().Bitrate; got > before*112/100 {
					t.Errorf("%d bit/s at once after %d", got, before)
				} else if got > budget {
					t.Errorf("%d bit/s in the pass that knew of %d", got, budget)
				}
				l.pass(59, v)
				want := min(budget, 1_000_000)
				if got := v.last().Bitrate; got > want || got < want*97/100 {
					t.Errorf("%d bit/s for one who carries %d", got, budget)
				}
				if got := v.bits(30); got > v.last().Bitrate*115/100 || got < v.last().Bitrate*60/100 {
					t.Errorf("a second of %d bit at %d bit/s", got, v.last().Bitrate)
				}
			}
			if v.keys() != 1 {
				t.Errorf("%d key frames", v.keys())
			}
		})
	}
}

// TestFallsAtOnce: the pictures themselves are as small as they have to be, from the first on.
func TestFallsAtOnce(t *testing.T) {
	for _, codec := range []Codec{H264, VP8} {
		t.Run(string(codec), func(t *testing.T) {
			l := newLab(t, ranged)
			v := watching(codec, 0)
			v.wants[0].Bitrate = 1_000_000
			l.pass(90, v)
			before := v.bits(3)
			v.wants[0].Bitrate = 300_000
			var tenths []int
			for range 10 {
				l.pass(3, v)
				tenths = append(tenths, v.bits(3))
			}
			t.Logf("100 ms of %d bit, then %v", before, tenths)
			if v.keys() != 1 || len(v.units) != 120 {
				t.Fatalf("%d units, %d key frames", len(v.units), v.keys())
			}
			if tenths[0] > 60_000 { // of 30000 on average
				t.Errorf("%d bit in the first 100 ms at 300 kbit/s", tenths[0])
			}
			if sum := v.bits(30); sum > 360_000 {
				t.Errorf("%d bit in the second after", sum)
			}
		})
	}
}

// TestOneBadNetwork: ten others do not notice.
func TestOneBadNetwork(t *testing.T) {
	l := newLab(t, ranged)
	var viewers []Viewer
	for range 10 {
		v := watching(H264, 0)
		v.wants[0].Bitrate = 3_000_000
		viewers = append(viewers, v)
	}
	good := viewers[0].(*watcher)
	l.pass(10, viewers[:1]...)
	if got := good.last().Bitrate; got != 1_000_000 {
		t.Errorf("%d bit/s for one", got)
	}
	l.pass(10, viewers...)
	if got := good.last().Bitrate; got != 600_000 {
		t.Errorf("%d bit/s for ten", got)
	}
	bad := watching(H264, 0)
	for _, c := range []struct{ budget, want int }{{580_000, 580_000}, {560_000, 600_000}, {100_000, 600_000}} {
		bad.wants[0].Bitrate = c.budget
		l.pass(20, append(viewers, bad)...)
		if got := bad.last().Bitrate; got > c.want || got < c.want*96/100 {
			t.Errorf("%d bit/s for ten and one who carries %d, want %d", got, c.budget, c.want)
		}
		if bad.last() != good.last() {
			t.Error("they do not share an encode")
		}
	}
}

// TestEverySecondPicture: for those who all do with it, without a key frame, in the same bits.
func TestEverySecondPicture(t *testing.T) {
	for _, codec := range []Codec{H264, VP8} {
		t.Run(string(codec), func(t *testing.T) {
			l := newLab(t, ranged)
			a, b := watching(codec, 0), watching(codec, 0)
			a.wants[0].Bitrate, a.wants[0].Base = 400_000, true
			pass := func(n int, viewers ...Viewer) (units, bits int) {
				before := len(a.units)
				l.pass(n, viewers...)
				units = len(a.units) - before
				return units, a.bits(units)
			}
			pass(30, a)
			if n, bits := pass(60, a); n != 30 || bits < 500_000 || bits > 900_000 {
				t.Errorf("%d of 60 pictures, %d bit in 2 s at 400 kbit/s", n, bits)
			}
			a.wants[0].Bitrate = 100_000
			if pass(60, a); a.last().Bitrate != 200_000 {
				t.Errorf("%d bit/s at least", a.last().Bitrate)
			}
			if _, bits := pass(60, a); bits > 480_000 {
				t.Errorf("%d bit in 2 s at 200 kbit/s", bits)
			}
			keys := a.keys()
			a.wants[0].Base = false
			if n, _ := pass(60, a); n < 59 || a.keys() != keys || a.last().Bitrate != 300_000 {
				t.Errorf("%d of 60 pictures, %d key frames, %d bit/s", n, a.keys()-keys, a.last().Bitrate)
			}
			a.wants[0].Base = true
			if n, _ := pass(60, a, b); n < 59 {
				t.Errorf("%d of 60 pictures beside one who wants all", n)
			}
			if n, _ := pass(60, a); n > 31 {
				t.Errorf("%d of 60 pictures when they have left", n)
			}
		})
	}
}
