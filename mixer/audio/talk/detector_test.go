package talk_test

import (
	"testing"

	"rendezvous/internal/sound"
	"rendezvous/mixer/audio/talk"
)

func TestLevels(t *testing.T) {
	square := make([]int16, 960)
	for i := range square {
		square[i] = 32767
		if i%2 == 1 {
			square[i] = -32768
		}
	}
	sine := sound.Sine(1000, 0.1, 960, 0)
	for _, c := range []struct {
		name string
		x    []int16
		want uint8
	}{
		{"silence", make([]int16, 960), 127},
		{"nothing", nil, 127},
		{"full scale square", square, 0},
		{"sine of a tenth", sine, 23}, // -20 dB, and 3 for a sine
	} {
		if got := talk.Header(talk.Level(c.x)); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// run feeds the detector n frames of a level and returns how many were let through.
func run(d *talk.Detector, level float64, n int) int {
	open := 0
	for range n {
		if d.Update(level) {
			open++
		}
	}
	return open
}

func TestDetector(t *testing.T) {
	type stretch struct {
		level     float64
		frames    int
		low, high int // frames let through
	}
	for _, c := range []struct {
		name string
		s    []stretch
	}{
		{"the first word is not lost", []stretch{{-30, 10, 10, 10}}},
		{"silence", []stretch{{-127, 1000, 0, 0}}},
		{"a faint background is held back from the start", []stretch{{-65, 1000, 0, 0}}},
		{"a background is learned within 5 s", []stretch{{-50, 250, 150, 240}, {-50, 1000, 0, 0}}},
		{"over it, speech passes at once", []stretch{{-50, 500, 0, 240}, {-38, 20, 20, 20}, {-50, 100, 29, 30}}},
		{"quiet speech over a quiet room", []stretch{{-72, 500, 0, 0}, {-50, 10, 10, 10}, {-72, 20, 20, 20}, {-50, 10, 10, 10}}},
		{"a loud steady tone never ends", []stretch{{-29, 15000, 15000, 15000}}},
		{"hang-over", []stretch{{-30, 5, 5, 5}, {-127, 100, 29, 30}}},
	} {
		d := talk.New(talk.Mixing)
		for i, s := range c.s {
			if got := run(d, s.level, s.frames); got < s.low || got > s.high {
				t.Errorf("%s: of stretch %d (%v dBov) %d frames of %d pass, want %d to %d", c.name, i, s.level, got, s.frames, s.low, s.high)
			}
		}
	}
}

func TestAKnockIsNotTalk(t *testing.T) {
	d := talk.New(talk.Mixing)
	d.Update(-20)
	d.Update(-30)
	run(d, -127, 10)
	if d.Talking(false) {
		t.Error("40 ms of noise are called talk")
	}
	run(d, -30, 4)
	if !d.Talking(false) {
		t.Error("80 ms of noise are not")
	}
}

// TestDecodingLetsThroughWhatMixingMight compares the two settings over random loudness.
func TestDecodingLetsThroughWhatMixingMight(t *testing.T) {
	mix, dec := talk.New(talk.Mixing), talk.New(talk.Decoding)
	seed := uint32(1)
	level := -60.0
	for i := range 100000 {
		seed = seed*1664525 + 1013904223
		level += float64(int32(seed)>>28) / 2
		level = min(-10, max(-90, level))
		m, d := mix.Update(level), dec.Update(level)
		if m && !d {
			t.Fatalf("frame %d at %.1f dBov would be mixed but is not decoded", i, level)
		}
	}
}
