// Package experience judges what a person saw and heard in a meeting: how often the picture stood still, where the sound had
// gaps, how late both were. It is told of every picture that was shown and every 10 ms of sound that was played, by whoever looks
// and listens (internal/lab/browser), and is arithmetic alone.
package experience

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Picture is one that was shown.
type Picture struct {
	At            time.Time
	Width, Height int
	Light         int     // mean luma of the spot that is looked at, 0 to 255; -1: nobody looks
	Motion        float64 // by how much that spot's luma differs from the picture before, on average; -1: nobody looks
}

// Sound is some milliseconds of what was played.
type Sound struct {
	At     time.Time
	Length time.Duration
	RMS    float64 // root mean square of the samples, which are -1 to 1
	Tone   float64 // amplitude of the tone that is listened for
}

// freezeAfter is how long a picture stands until somebody notices.
const freezeAfter = 500 * time.Millisecond

// Show is what pictures were like for a time.
type Show struct {
	Rate    float64       // pictures a second
	Longest time.Duration // without a new one
	Freezes int           // of more than half a second
	Frozen  time.Duration // all of these together
	Height  int           // of most of them
}

// Shown judges the pictures between two times, in which there may be none.
func Shown(all []Picture, from, to time.Time) (s Show) {
	last, heights := from, map[int]int{}
	gap := func(d time.Duration) {
		s.Longest = max(s.Longest, d)
		if d > freezeAfter {
			s.Freezes++
			s.Frozen += d
		}
	}
	n := 0
	for _, p := range all {
		if p.At.Before(from) || !p.At.Before(to) {
			continue
		}
		gap(p.At.Sub(last))
		last = p.At
		n++
		heights[p.Height]++
		if heights[p.Height] > heights[s.Height] {
			s.Height = p.Height
		}
	}
	gap(to.Sub(last))
	s.Rate = float64(n) / to.Sub(from).Seconds()
	return s
}

// Moved are the pictures whose spot was not as in the picture before: of a mixed picture, those in which the
// participant who has the spot moved. What an encoder does to a still one is less than 0.15.
func Moved(all []Picture) (moved []Picture) {
	const still = 0.15
	for _, p := range all {
		if p.Motion > still {
			moved = append(moved, p)
		}
	}
	return moved
}

// FirstAs is the first picture from a time on that is as asked.
func FirstAs(all []Picture, from time.Time, as func(Picture) bool) (time.Time, bool) {
	for _, p := range all {
		if !p.At.Before(from) && as(p) {
			return p.At, true
		}
	}
	return time.Time{}, false
}

// Hearing is what a tone was like for a time that should have been there throughout.
type Hearing struct {
	Gaps []time.Duration // of the tone, of 20 ms and more
	Gone time.Duration   // all of what was missing, shorter gaps included
}

// Over counts the gaps that are longer.
func (h Hearing) Over(d time.Duration) (n int) {
	for _, g := range h.Gaps {
		if g > d {
			n++
		}
	}
	return n
}

// Heard judges a tone between two times. It is missing where its amplitude is under half of usual, and where nothing was played for
// more than 200 ms: that less is played late is the player's own.
func Heard(all []Sound, from, to time.Time, usual float64) (h Hearing) {
	const (
		least = 20 * time.Millisecond
		hole  = 200 * time.Millisecond
	)
	var gap time.Duration
	end := func() {
		if h.Gone += gap; gap >= least {
			h.Gaps = append(h.Gaps, gap)
		}
		gap = 0
	}
	last := from
	for _, s := range all {
		if s.At.Before(from) || !s.At.Before(to) {
			continue
		}
		if d := s.At.Sub(last); d > hole {
			gap += d
		}
		last = s.At
		if s.Tone < usual/2 {
			gap += s.Length
		} else {
			end()
		}
	}
	if d := to.Sub(last); d > hole {
		gap += d
	}
	end()
	return h
}

// Usual is the amplitude that the tone has mostly between two times; NaN if there was no sound.
func Usual(all []Sound, from, to time.Time) float64 {
	var tones []float64
	for _, s := range all {
		if !s.At.Before(from) && s.At.Before(to) {
			tones = append(tones, s.Tone)
		}
	}
	return Quantile(tones, 0.5)
}

// onsetEvery is the least time between two beginnings: flashes and beeps come once a second.
const onsetEvery = 400 * time.Millisecond

// Flashes are when the spot became light.
func Flashes(all []Picture) []time.Time {
	const light = 120
	return onsets(len(all), func(i int) (time.Time, bool) { return all[i].At, all[i].Light > light })
}

// Beeps are when the tone set in.
func Beeps(all []Sound) []time.Time {
	const loud = 0.1
	return onsets(len(all), func(i int) (time.Time, bool) { return all[i].At, all[i].Tone > loud })
}

func onsets(n int, at func(i int) (time.Time, bool)) (begun []time.Time) {
	var last time.Time
	off := true
	for i := range n {
		t, on := at(i)
		if on && off && t.Sub(last) > onsetEvery {
			begun = append(begun, t)
		}
		if on {
			last = t
		}
		off = !on
	}
	return begun
}

// Offsets are how much later than each flash between two times its beep was heard; negative if earlier.
func Offsets(flashes, beeps []time.Time, from, to time.Time) (late []time.Duration) {
	const together = 500 * time.Millisecond
	for _, f := range flashes {
		if f.Before(from) || !f.Before(to) || len(beeps) == 0 {
			continue
		}
		nearest := slices.MinFunc(beeps, func(a, b time.Time) int { return cmp.Compare(a.Sub(f).Abs(), b.Sub(f).Abs()) })
		if d := nearest.Sub(f); d.Abs() < together {
			late = append(late, d)
		}
	}
	return late
}

// Delays are how long what was sent between two times took; what did not come within a second is left out.
func Delays(sent, came []time.Time, from, to time.Time) (took []time.Duration) {
	for _, s := range sent {
		if s.Before(from) || !s.Before(to) {
			continue
		}
		i, _ := slices.BinarySearchFunc(came, s, time.Time.Compare)
		if i < len(came) && came[i].Sub(s) < time.Second {
			took = append(took, came[i].Sub(s))
		}
	}
	return took
}

// Quantile is the value below which a share of all lie; NaN of none.
func Quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	return s[min(len(s)-1, int(share*float64(len(s))))]
}

// Median is that of times, in the unit given; NaN of none.
func Median(all []time.Duration, unit time.Duration) float64 {
	values := make([]float64, len(all))
	for i, d := range all {
		values[i] = float64(d) / float64(unit)
	}
	return Quantile(values, 0.5)
}
