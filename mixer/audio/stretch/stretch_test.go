package stretch_test

import (
	"math"
	"testing"

	"rendezvous/internal/sound"
	"rendezvous/mixer/audio/stretch"
)

func steepest(x []int16) int {
	s := 0
	for i := 1; i < len(x); i++ {
		s = max(s, int(x[i])-int(x[i-1]), int(x[i-1])-int(x[i]))
	}
	return s
}

func TestShortenAndLengthenByWholePeriods(t *testing.T) {
	for _, hertz := range []float64{80, 150, 440, 1000, 3000} {
		x := sound.Sine(hertz, 0.3, 2*stretch.MaxLag, 0)
		slope := steepest(x)
		short := stretch.Shorten(append([]int16(nil), x...), 0.9, stretch.MaxLag)
		long := stretch.Lengthen(append(make([]int16, 0, 4000), x...), 0.9)
		for name, y := range map[string][]int16{"short": short, "long": long} {
			d := len(y) - len(x)
			if name == "short" {
				d = -d
			}
			if d < stretch.MinLag || d > stretch.MaxLag {
				t.Errorf("%v Hz made %s by %d samples", hertz, name, d)
				continue
			}
			periods := float64(d) * hertz / 48000
			if off := math.Abs(periods-math.Round(periods)) * 48000 / hertz; off > 2 {
				t.Errorf("%v Hz made %s by %d samples, %.2f periods", hertz, name, d, periods)
			}
			if most := stretch.Shorten(append([]int16(nil), x...), 0, 300); len(most) < len(x)-300 {
				t.Errorf("%v Hz made shorter by %d samples, more than 300", hertz, len(x)-len(most))
			}
			if s := steepest(y); s > slope+slope/8+3 {
				t.Errorf("%v Hz made %s has a step of %d, before %d", hertz, name, s, slope)
			}
		}
	}
}

func TestWhatDoesNotRepeatIsLeft(t *testing.T) {
	x := make([]int16, 1440)
	seed := uint32(7)
	for i := range x {
		seed = seed*1664525 + 1013904223
		x[i] = int16(seed >> 16)
	}
	if y := stretch.Shorten(append([]int16(nil), x...), 0.9, stretch.MaxLag); len(y) != len(x) {
		t.Errorf("noise was shortened to %d", len(y))
	}
	if y := stretch.Lengthen(append(make([]int16, 0, 4000), x...), 0.9); len(y) != len(x) {
		t.Errorf("noise was lengthened to %d", len(y))
	}
	for _, n := range []int{0, 1, 100, 2*stretch.MinLag - 1} {
		if y := stretch.Shorten(sound.Sine(440, 0.3, n, 0), 0, stretch.MaxLag); len(y) != n {
			t.Errorf("%d samples became %d", n, len(y))
		}
	}
	if y := stretch.Lengthen(x[:1440:1440], 0); len(y) != 1440 {
		t.Errorf("without room %d samples were made", len(y))
	}
}

func TestSilenceIsCutAnywhere(t *testing.T) {
	if y := stretch.Shorten(make([]int16, 960), 0.9, stretch.MaxLag); len(y) != 480 {
		t.Errorf("960 samples of silence became %d", len(y))
	}
}

func TestContinuer(t *testing.T) {
	x := sound.Sine(200, 0.3, 4800, 0)
	var c stretch.Continuer
	c.Heard(x)
	gap := make([]int16, 960)
	c.Continue(gap)
	want := sound.Sine(200, 0.3, 960, 4800)
	for i := range gap {
		if d := int(gap[i]) - int(want[i]); d > 700 || d < -700 { // 0.02 of full scale
			t.Fatalf("sample %d of the gap is %d, the tone would be %d", i, gap[i], want[i])
		}
	}
	long := make([]int16, 4800)
	c.Continue(long)
	for i, v := range long[stretch.MaxLag*4:] {
		if v != 0 {
			t.Fatalf("80 ms on it still sounds: %d at %d", v, i)
		}
	}
	next := sound.Sine(200, 0.3, 960, 0)
	c.Heard(next)
	if next[0] != 0 {
		t.Errorf("sound comes back with a step of %d", next[0])
	}
	c.Reset()
	c.Continue(gap)
	for _, v := range gap {
		if v != 0 {
			t.Fatal("it makes sound from nothing")
		}
	}
}
