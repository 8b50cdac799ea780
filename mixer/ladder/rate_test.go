package ladder

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

var ranged = []Rung{
	{Width: 320, Height: 180, FPS: 30, Min: 300_000, Bitrate: 600_000, Max: 1_000_000},
	{Width: 160, Height: 90, FPS: 30, Min: 50_000, Bitrate: 100_000, Max: 200_000},
}

// TestAim is the rule: what an encode is to be, given what each of its viewers carries.
func TestAim(t *testing.T) {
	const k = 1000
	several := func(n, each int, more ...int) []int { return append(slices.Repeat([]int{each}, n), more...) }
	for _, c := range []struct {
		budgets []int
		halved  bool
		want    int
	}{
		// A lone viewer has the whole range.
		{[]int{2000 * k}, false, 1000 * k},
		{[]int{777 * k}, false, 777 * k},
		{[]int{450 * k}, false, 450 * k},
		{[]int{100 * k}, false, 300 * k},
		// Several share the rung's own bitrate.
		{several(2, 2000*k), false, 600 * k},
		{several(10, 601*k), false, 600 * k},
		// A bad network pulls nobody down by more than 5 %.
		{several(10, 800*k, 571*k), false, 571 * k},
		{several(10, 800*k, 569*k), false, 600 * k},
		{several(10, 800*k, 100*k), false, 600 * k},
		{several(10, 800*k, 590*k, 575*k, 300*k), false, 575 * k},
		// Where nobody carries it, the worse are followed further.
		{several(10, 500*k, 380*k), false, 380 * k},
		{several(10, 500*k, 370*k), false, 500 * k},
		{[]int{320 * k, 100 * k}, false, 320 * k},
		{[]int{200 * k, 100 * k}, false, 300 * k},
		// Half of the pictures do with less.
		{[]int{250 * k}, true, 250 * k},
		{[]int{100 * k}, true, 200 * k},
	} {
		if got := ranged[0].aim(c.budgets, c.halved); got != c.want {
			t.Errorf("%d for viewers of %v (halved: %v), want %d", got, c.budgets, c.halved, c.want)
		}
	}
}

func TestRateFollows(t *testing.T) {
	now := time.Unix(1000, 0)
	var r rate
	if !r.follow(600_000, true, now) || r.bitrate != 600_000 {
		t.Fatalf("begins at %d", r.bitrate)
	}
	pass := func(aim int) bool {
		now = now.Add(tick)
		return r.follow(aim, false, now)
	}
	if pass(595_000) || pass(610_000) {
		t.Error("the encoder is bothered with less than it keeps to")
	}
	if !pass(590_000) || r.bitrate != 590_000 {
		t.Errorf("%d, not at once down to 590000", r.bitrate)
	}
	if !pass(300_000) || r.bitrate != 300_000 {
		t.Errorf("%d, not at once down to 300000", r.bitrate)
	}
	steps, last, began := 0, r.bitrate, now
	for r.bitrate < 600_000 && now.Sub(began) < 5*time.Second {
		if pass(600_000) {
			if step := float64(r.bitrate) / float64(last); step > 1.113 {
				t.Errorf("a step of %.3f", step)
			}
			steps, last = steps+1, r.bitrate
		}
	}
	if took := now.Sub(began); r.bitrate != 600_000 || took < 800*time.Millisecond || took > 1500*time.Millisecond || steps < 8 {
		t.Errorf("rose to %d in %d steps and %v", r.bitrate, steps, took)
	}
	if !r.follow(1_000_000, true, now.Add(tick)) || r.bitrate != 1_000_000 {
		t.Errorf("%d for a viewer where there was none", r.bitrate)
	}
}

// lab runs a ladder through time.
type lab struct {
	*Ladder
	now time.Time
	n   int
}

func newLab(t *testing.T, rungs []Rung) *lab {
	l := &lab{Ladder: New(Config{Rungs: rungs}), now: time.Unix(1000, 0)}
	l.load.since = l.now.Add(time.Hour) // however busy the machine is, no picture is left out
	t.Cleanup(l.Close)
	return l
}

func (l *lab) pass(n int, viewers ...Viewer) {
	for range n {
		l.Encode(picture(320, 180, l.n), true, l.now, viewers)
		l.now = l.now.Add(tick)
		l.n++
	}
}

func (w *watcher) last() *Unit { return w.units[len(w.units)-1] }

// TestRequired: what may be asked without waiting, also while a picture is made.
func TestRequired(t *testing.T) {
	l := newLab(t, ranged)
	want := func(what string, required, viewers int) {
		t.Helper()
		if got := l.Required(H264, 0); got != required {
			t.Errorf("%s: %d is required, want %d", what, got, required)
		}
		if got := l.Viewers(H264, 0); got != viewers {
			t.Errorf("%s: %d viewers, want %d", what, got, viewers)
		}
	}
	want("nobody", 315_000, 0)
	a, b := watching(H264, 0), watching(H264, 0)
	a.wants[0].Bitrate, b.wants[0].Bitrate = 400_000, 2_000_000
	l.pass(1, a)
	want("a bad network", 400_000, 1)
	l.pass(1, b)
	want("a good network, at once", 400_000, 1)
	l.pass(90, b)
	want("a good network, for long", 600_000, 1)
	l.pass(60, a, b)
	want("both", 600_000, 2)
	b.wants[0].Bitrate = 590_000
	l.pass(1, a, b)
	want("both, worse", 590_000, 2)
	l.pass(1)
	want("nobody any more", 315_000, 0)
	if got := l.Required(VP8, 1); got != 52_500 {
		t.Errorf("%d is required of the first on another rung", got)
	}
	if l.Required("AV1", 0) != 0 || l.Required(H264, 2) != 0 || l.Required(VP8, -1) != 0 || l.Viewers(VP8, 9) != 0 {
		t.Error("something is said about encodes that cannot be")
	}

	l.mu.Lock() // as while a picture is encoded
	want("under the lock", 315_000, 0)
	l.mu.Unlock()
	var asks asking
	asks.ladder = l.Ladder
	l.pass(3, &asks)
	if asks.required == 0 {
		t.Error("not to be asked from Watching")
	}
	var reader sync.WaitGroup
	reader.Go(func() {
		for range 100 {
			l.Required(VP8, 0)
		}
	})
	l.pass(3, watching(VP8, 0))
	reader.Wait()
}

// asking is a viewer who asks the ladder back.
type asking struct {
	ladder   *Ladder
	required int
}

func (a *asking) Watching(dst []Want) []Want {
	a.required = a.ladder.Required(H264, 0)
	return append(dst, Want{Codec: H264, Bitrate: a.required})
}

func (a *asking) WriteUnit(*Unit) {}

// TestHeld: who has pictures held goes on to count among the viewers, so that the encoder is ready for them.
func TestHeld(t *testing.T) {
	l := newLab(t, ranged)
	v := watching(H264, 0)
	v.wants[0].Bitrate = 900_000
	l.pass(10, v)
	v.wants[0].Bitrate, v.wants[0].Hold = 400_000, true
	units := len(v.units)
	l.pass(10, v)
	if got := len(v.units) - units; got != 0 {
		t.Errorf("%d pictures for one who has them held", got)
	}
	if got := l.Required(H264, 0); got != 400_000 || l.Viewers(H264, 0) != 1 {
		t.Errorf("%d is required of another beside %d", got, l.Viewers(H264, 0))
	}
	v.wants[0].Hold = false
	l.pass(1, v)
	if u := v.last(); len(v.units) != units+1 || u.Key || u.Bitrate != 400_000 || u.Number != v.units[units-1].Number+1 {
		t.Errorf("%d pictures, then key frame %v, %d bit/s", len(v.units)-units, u.Key, u.Bitrate)
	}
}

// TestRungWithoutRange: Min and Max may be left out.
func TestRungWithoutRange(t *testing.T) {
	l := newLab(t, small)
	for _, budget := range []int{0, 100_000, 5_000_000} {
		v := watching(H264, 1)
		v.wants[0].Bitrate = budget
		l.pass(5, v)
		if got := v.last().Bitrate; got != 200_000 {
			t.Errorf("%d bit/s for a budget of %d", got, budget)
		}
	}
	if r := l.Rungs()[1]; r.Min != 200_000 || r.Max != 200_000 {
		t.Errorf("%+v", r)
	}
}

func ExampleLadder_Required() {
	l := New(Config{})
	defer l.Close()
	for i, r := range l.Rungs() {
		fmt.Printf("%dx%d at %d: %d bit/s for the first\n", r.Width, r.Height, r.FPS, l.Required(H264, i))
	}
	// Output:
	// 1280x720 at 30: 945000 bit/s for the first
	// 640x360 at 30: 315000 bit/s for the first
	// 320x180 at 30: 115500 bit/s for the first
	// 320x180 at 15: 52500 bit/s for the first
}
