//go:build !race

// One goroutine, and minutes of a path: nothing for the race detector.

package congestion

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rendezvous/internal/netlink"
)

// settledReports is a path that has been open for a while, to a receiver that reports so.
func settledReports(t *testing.T, p peer) *reportsPath {
	r := newReportsPath(t, open, p)
	r.run(20 * time.Second)
	r.step = r.from
	require.Greater(t, r.used(5*time.Second, 20*time.Second), 2300.)
	return r
}

// A path that becomes narrow is found out as soon as the receiver's reports allow, and so is one that is open again.
func TestReportsSteps(t *testing.T) {
	for _, s := range []struct {
		name  string
		peer  peer
		kbps  int
		clear time.Duration // when the queue is under 150 ms again, but for moments
		p95   float64       // ms of queue, from 10 s on
		lost  float64       // share of sound in 25 s
		used  float64       // share of the path, from the fifth second
		back  time.Duration // until 1.1 Mb/s are reached again, which the best rung takes
	}{
		// Who answers questions: Jami devices.
		{"500, asked", debian, 500, 1500 * ms, 130, .01, .85, 8 * time.Second},
		{"150, asked", debian, 150, 2200 * ms, 130, .01, .8, 12 * time.Second},
		{"1500, asked", debian, 1500, 1500 * ms, 130, .01, .85, 0},
		// FFmpeg reports by bytes: on a narrow path each second or less often.
		{"500, Jami's FFmpeg", jami, 500, 3 * time.Second, 200, .01, .6, 8 * time.Second},
		{"150, Jami's FFmpeg", jami, 150, 6 * time.Second, 250, .04, .7, 0}, // without pictures nothing is reported
		{"500, FFmpeg", ffmpeg, 500, 7 * time.Second, 150, .02, .8, 15 * time.Second},
		{"500, a report a second", linear, 500, 4 * time.Second, 200, .01, .8, 10 * time.Second},
		{"150, a report a second", linear, 150, 4 * time.Second, 250, .02, .8, 18 * time.Second},
		// Telephones: a report each 5 s, and requests for key frames.
		{"500, a telephone", baresip, 500, 4 * time.Second, 250, .015, .8, 20 * time.Second},
		{"150, a telephone", baresip, 150, 8 * time.Second, 250, .05, .7, 0},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := settledReports(t, s.peer)
			p.set(limited(s.kbps, 500*ms))
			p.run(25 * time.Second)
			t.Logf("p95 %.0f ms after %v, %.0f ms after 10 s; %.1f %% of sound lost; %.0f kb/s used", quantile(p.over(p.queued, s.clear, s.clear+2*time.Second), .95), s.clear,
				quantile(p.over(p.queued, 10*time.Second, 25*time.Second), .95), 100*p.lost(0, 24*time.Second), p.used(5*time.Second, 25*time.Second))
			assert.LessOrEqual(t, quantile(p.over(p.queued, s.clear, s.clear+2*time.Second), .9), 150.)
			assert.LessOrEqual(t, quantile(p.over(p.queued, 10*time.Second, 25*time.Second), .95), s.p95)
			assert.LessOrEqual(t, p.lost(0, 24*time.Second), s.lost)
			assert.GreaterOrEqual(t, p.used(5*time.Second, 25*time.Second), s.used*float64(s.kbps))
			if t.Failed() {
				t.Log(p.trace(250*ms, 5*time.Second), p.trace(time.Second, 25*time.Second))
			}
			if s.back == 0 {
				return
			}
			p.set(open)
			p.run(s.back + time.Second)
			t.Logf("open after %v", p.reached(1100))
			assert.LessOrEqual(t, p.reached(1100), s.back)
			if t.Failed() {
				t.Log(p.trace(time.Second, s.back))
			}
		})
	}
}

// What is no narrow path is not taken for one.
func TestReportsNotNarrow(t *testing.T) {
	for _, s := range []struct {
		name   string
		change func(*netlink.Settings)
		least  float64 // share of what is wanted that is used from the third second
		phone  float64 // the same of a telephone
	}{
		{"a longer way", func(s *netlink.Settings) { s.Delay = 90 * ms }, .95, .9},
		{"jitter of 30 ms", func(s *netlink.Settings) { s.Jitter = 30 * ms }, .95, .95},
		{"jitter of 100 ms", func(s *netlink.Settings) { s.Jitter = 100 * ms }, .9, .9},
		{"jitter of 100 ms that reorders", func(s *netlink.Settings) { s.Jitter, s.Free = 100*ms, true }, .65, .6},
		{"loss of 5 %", func(s *netlink.Settings) { s.Loss = .05 }, .95, .6},
		{"loss of 20 %", func(s *netlink.Settings) { s.Loss = .2 }, .9, .5},
	} {
		for _, r := range []struct {
			name string
			peer peer
		}{{"asked", debian}, {"Jami's FFmpeg", jami}, {"FFmpeg", ffmpeg}, {"a report a second", linear}, {"a telephone", baresip}} {
			t.Run(s.name+", "+r.name, func(t *testing.T) {
				p := settledReports(t, r.peer)
				changed := open
				s.change(&changed)
				p.set(changed)
				p.run(30 * time.Second)
				least := s.least
				if r.peer.pli {
					least = s.phone
				}
				assert.GreaterOrEqual(t, p.used(3*time.Second, 30*time.Second), least*float64(p.wanted)/1000)
				if t.Failed() {
					t.Log(p.trace(time.Second, 30*time.Second))
				}
			})
		}
	}
}

// Of a receiver that has said nothing yet nothing is believed, and nothing is held.
func TestReportsNobodyHeard(t *testing.T) {
	p := newReportsPath(t, open, peer{every: time.Hour})
	p.run(10 * time.Second)
	s := p.c.State()
	require.False(t, s.Known)
	require.Zero(t, s.Hold)
	require.Equal(t, 2_500_000, s.Target)
	require.Zero(t, s.Queue)
}

// Reports without a round trip tell of losses alone.
func TestReportsWithoutRoundTrip(t *testing.T) {
	p := settledReports(t, peer{every: time.Second, plain: true})
	p.set(limited(500, 100*ms))
	p.run(25 * time.Second)
	require.Less(t, p.lost(5*time.Second, 24*time.Second), .03)
	require.Greater(t, p.used(5*time.Second, 25*time.Second), 350.)
}

// Where one who answers questions is not heard any more pictures wait, and afterwards all is as before.
func TestReportsBlackout(t *testing.T) {
	for _, d := range []time.Duration{2 * time.Second, 5 * time.Second} {
		p := settledReports(t, debian)
		black := open
		black.Blackout = true
		p.set(black)
		p.run(d)
		require.Less(t, p.used(time.Second, d), 100., "only sound and questions")
		p.set(open)
		p.run(6 * time.Second)
		require.Greater(t, p.used(time.Second, 6*time.Second), 2000., "after %v", d)
	}
}

// A receiver's bound holds for a while, and not where its path is measured.
func TestReportsBound(t *testing.T) {
	p := settledReports(t, linear)
	p.c.Bound(700_000)
	require.Equal(t, 700_000, p.c.State().Target)
	p.run(boundLife + time.Second)
	require.Greater(t, p.c.State().Target, 700_000)

	p = settledReports(t, debian)
	p.c.Bound(700_000)
	require.Greater(t, p.c.State().Target, 2_000_000)
}

// Numbers that say nothing are passed over.
func TestReportsNonsense(t *testing.T) {
	p := settledReports(t, linear)
	before := p.c.State().Target
	for _, highest := range []uint32{0, 1 << 15, uint32(p.seq[1]) + 5000, uint32(p.seq[1]) - 3000, 1<<32 - 1} {
		p.flows[1].Report(Report{Highest: highest, Lost: 255})
	}
	(&Flow{c: p.c}).Report(Report{Highest: 7, Lost: 255})
	p.run(time.Second)
	require.GreaterOrEqual(t, p.c.State().Target, before)
}
