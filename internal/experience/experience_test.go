package experience_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/experience"
)

const ms = time.Millisecond

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return begin.Add(d) }

// film is one of 25 pictures a second, without those of some times.
func film(length time.Duration, missing func(time.Duration) bool) (all []experience.Picture) {
	for d := time.Duration(0); d < length; d += 40 * ms {
		if missing == nil || !missing(d) {
			all = append(all, experience.Picture{At: at(d), Width: 1280, Height: 720, Light: 50, Motion: 3})
		}
	}
	return all
}

func TestShown(t *testing.T) {
	all := film(10*time.Second, func(d time.Duration) bool {
		return d > 2*time.Second && d < 3*time.Second || d > 5*time.Second && d < 5400*ms || d > 9*time.Second
	})
	require.Equal(t, experience.Show{Rate: 19.3, Longest: time.Second, Freezes: 2, Frozen: 2 * time.Second, Height: 720},
		experience.Shown(all, begin, at(10*time.Second)))
	// The edges of a time count, too.
	s := experience.Shown(all, at(2500*ms), at(4*time.Second))
	require.Equal(t, 500*ms, s.Longest)
	require.Equal(t, experience.Show{Longest: time.Second, Freezes: 1, Frozen: time.Second}, experience.Shown(nil, begin, at(time.Second)))

	all[10].Height, all[10].Motion = 360, 0.1
	require.Equal(t, 720, experience.Shown(all, begin, at(time.Second)).Height)
	require.Len(t, experience.Moved(all), len(all)-1)
	first, ok := experience.FirstAs(all, at(100*ms), func(p experience.Picture) bool { return p.Height == 360 })
	require.True(t, ok)
	require.Equal(t, at(400*ms), first)
	_, ok = experience.FirstAs(all, at(500*ms), func(p experience.Picture) bool { return p.Height == 360 })
	require.False(t, ok)
}

// tone is one that is missing at some times; none is played at others.
func tone(length time.Duration, missing, silent func(time.Duration) bool) (all []experience.Sound) {
	for d := time.Duration(0); d < length; d += 10 * ms {
		s := experience.Sound{At: at(d), Length: 10 * ms, RMS: 0.18, Tone: 0.25}
		if missing != nil && missing(d) {
			s.RMS, s.Tone = 0.01, 0.01
		}
		if silent == nil || !silent(d) {
			all = append(all, s)
		}
	}
	return all
}

func TestHeard(t *testing.T) {
	all := tone(10*time.Second, func(d time.Duration) bool {
		return d >= time.Second && d < 1050*ms || d == 3*time.Second || d >= 4*time.Second && d < 4020*ms || d >= 9970*ms
	}, func(d time.Duration) bool {
		return d > 6*time.Second && d <= 6300*ms || d > 7*time.Second && d <= 7100*ms
	})
	require.InDelta(t, 0.25, experience.Usual(all, begin, at(time.Second)), 1e-9)
	h := experience.Heard(all, begin, at(10*time.Second), 0.25)
	require.Equal(t, []time.Duration{50 * ms, 20 * ms, 310 * ms, 30 * ms}, h.Gaps)
	require.Equal(t, 420*ms, h.Gone)
	require.Equal(t, 2, h.Over(40*ms))
	require.Equal(t, experience.Hearing{Gaps: []time.Duration{2 * time.Second}, Gone: 2 * time.Second}, experience.Heard(nil, begin, at(2*time.Second), 0.25))
	require.True(t, math.IsNaN(experience.Usual(nil, begin, at(time.Second))))
}

func TestFlashesAndBeeps(t *testing.T) {
	on := func(late time.Duration) func(time.Duration) bool {
		return func(d time.Duration) bool { d -= late; return d >= 0 && d%time.Second < 100*ms }
	}
	pictures := film(5*time.Second, nil)
	for i := range pictures {
		if on(120 * ms)(pictures[i].At.Sub(begin)) {
			pictures[i].Light = 235
		}
	}
	off := func(d time.Duration) bool { return !on(200 * ms)(d) }
	sounds := tone(5*time.Second, off, nil)
	flashes, beeps := experience.Flashes(pictures), experience.Beeps(sounds)
	require.Len(t, flashes, 5)
	require.Len(t, beeps, 5)
	require.Equal(t, []time.Duration{80 * ms, 80 * ms}, experience.Offsets(flashes, beeps, at(time.Second), at(3*time.Second)))
	require.Empty(t, experience.Offsets(flashes, nil, begin, at(3*time.Second)))
	sent := []time.Time{begin, at(time.Second), at(2 * time.Second), at(4900 * ms)}
	require.Equal(t, []time.Duration{200 * ms, 200 * ms, 200 * ms}, experience.Delays(sent, beeps, begin, at(5*time.Second)))
	require.Equal(t, 120.0, experience.Median(experience.Delays(sent, flashes, begin, at(5*time.Second)), ms))
}

func TestQuantile(t *testing.T) {
	require.Equal(t, 3.0, experience.Quantile([]float64{5, 1, 3, 2, 4}, 0.5))
	require.Equal(t, 5.0, experience.Quantile([]float64{5, 1, 3, 2, 4}, 1))
	require.True(t, math.IsNaN(experience.Quantile(nil, 0.5)))
}
