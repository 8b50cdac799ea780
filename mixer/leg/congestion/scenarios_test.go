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

// settled is a path that has been open for a while.
func settled(t *testing.T) *path {
	p := newPath(t, open)
	p.run(10 * time.Second)
	return p
}

// A path that is open is found to be within a second, and used as far as it can be.
func TestOpen(t *testing.T) {
	p := settled(t)
	p.step = p.from
	assert.Less(t, p.reached(2300), time.Second)
	assert.Greater(t, p.used(time.Second, 10*time.Second), 2200.)
	assert.Less(t, quantile(p.over(p.targets, 0, 10*time.Second), 1), 2300*1.2, "no more is looked for than is of use")
	t.Log(p.trace(time.Second, 10*time.Second))
}

// A path that becomes narrow is found out and its queue runs dry, then it is used, without a queue; when it is open again, that is found.
func TestSteps(t *testing.T) {
	for _, s := range []struct {
		name  string
		first int // kb/s that the path carries before the step; 0: any
		kbps  int // after it; negative: with jitter of 30 ms, too
		queue time.Duration
		clear time.Duration // when the queue is under 150 ms again
		p95   float64       // ms of queue, afterwards
		used  float64       // share of the path, from the fifth second
		back  time.Duration // until the path is found to be open again
	}{
		{"500, deep queue", 0, 500, 2000 * ms, 1500 * ms, 100, .85, 10 * time.Second},
		{"500", 0, 500, 500 * ms, 1500 * ms, 100, .85, 10 * time.Second},
		{"500, hardly a queue", 0, 500, 60 * ms, 1500 * ms, 100, .8, 10 * time.Second},
		{"700, deep queue", 0, 700, 1200 * ms, 1500 * ms, 100, .85, 10 * time.Second},
		{"1500", 0, 1500, 500 * ms, 1500 * ms, 100, .85, 10 * time.Second},
		{"2000", 0, 2000, 300 * ms, 1500 * ms, 100, .85, 10 * time.Second},
		{"150", 0, 150, 500 * ms, 1500 * ms, 100, .85, 10 * time.Second},
		{"500 to 150", 500, 150, 500 * ms, 1500 * ms, 100, .85, 10 * time.Second},
		{"500 to 150, deep queue", 500, 150, 2000 * ms, 2500 * ms, 100, .85, 10 * time.Second},
		{"500, jitter", 0, -500, 500 * ms, 30 * time.Second, 120, .8, 12 * time.Second},
		// What was sent until it could be known takes 3 s alone.
		{"150, deep queue", 0, 150, 2000 * ms, 3500 * ms, 100, .85, 10 * time.Second},
		{"a policer", 0, 500, 5 * ms, 1500 * ms, 100, .8, 12 * time.Second},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := settled(t)
			if s.first != 0 {
				p.set(limited(s.first, s.queue))
				p.run(15 * time.Second)
			}
			narrow := limited(max(s.kbps, -s.kbps), s.queue)
			if s.kbps < 0 {
				s.kbps = -s.kbps
				narrow.Jitter = 30 * ms
			}
			p.set(narrow)
			p.run(30 * time.Second)
			t.Logf("under 150 ms after %v, then p95 %.0f ms, %.0f of %d kb/s used", p.clear(), quantile(p.over(p.queued, min(s.clear, 3500*ms), 30*time.Second), .95), p.used(5*time.Second, 30*time.Second), s.kbps)
			assert.LessOrEqual(t, p.clear(), s.clear)
			assert.LessOrEqual(t, quantile(p.over(p.queued, min(s.clear, 3500*ms), 30*time.Second), .95), s.p95)
			assert.GreaterOrEqual(t, p.used(5*time.Second, 30*time.Second), s.used*float64(s.kbps))
			if t.Failed() {
				t.Log(p.trace(250*ms, 5*time.Second), p.trace(time.Second, 30*time.Second))
			}
			p.set(open)
			p.run(20 * time.Second)
			t.Logf("open after %v", p.reached(2000))
			assert.Less(t, p.reached(2000), s.back)
			if t.Failed() {
				t.Log(p.trace(500*ms, 20*time.Second))
			}
		})
	}
}

// What is no narrow path is not taken for one: another way, jitter, packets out of order, loss that is the path's own, moments
// without anything.
func TestNotNarrow(t *testing.T) {
	for _, s := range []struct {
		name   string
		change func(*netlink.Settings)
		least  float64 // share of what is wanted that is used from the third second
	}{
		{"a longer way", func(s *netlink.Settings) { s.Delay = 90 * ms }, .98},
		{"jitter of 30 ms", func(s *netlink.Settings) { s.Jitter = 30 * ms }, .98},
		{"jitter of 100 ms", func(s *netlink.Settings) { s.Jitter = 100 * ms }, .9},
		{"jitter of 100 ms that reorders", func(s *netlink.Settings) { s.Jitter, s.Free = 100*ms, true }, .98},
		{"out of order", func(s *netlink.Settings) { s.Reorder, s.ReorderBy = .05, 40*ms }, .98},
		{"loss of 5 %", func(s *netlink.Settings) { s.Loss = .05 }, .98},
		{"loss of 20 %", func(s *netlink.Settings) { s.Loss = .2 }, .95},
		{"loss of 30 %", func(s *netlink.Settings) { s.Loss = .3 }, .9},
		{"bursts of loss", func(s *netlink.Settings) { s.BurstEvery, s.BurstLen = 5*time.Second, 300*ms }, .98},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := settled(t)
			changed := open
			s.change(&changed)
			p.set(changed)
			p.run(30 * time.Second)
			assert.GreaterOrEqual(t, p.used(3*time.Second, 30*time.Second), s.least*float64(p.wanted)/1000)
			assert.Greater(t, quantile(p.over(p.targets, 0, 30*time.Second), .05), 1500.)
			if t.Failed() {
				t.Log(p.trace(time.Second, 30*time.Second))
			}
		})
	}
}

// Where nothing arrives pictures wait, and afterwards all is as before.
func TestBlackout(t *testing.T) {
	for _, d := range []time.Duration{2 * time.Second, 5 * time.Second, 9 * time.Second, 15 * time.Second} {
		p := settled(t)
		black := open
		black.Blackout = true
		p.set(black)
		p.run(d)
		require.True(t, p.c.State().Stalled, "after %v", d)
		require.Less(t, p.used(time.Second, d), 100., "only sound asks whether it is over")
		p.set(open)
		p.run(5 * time.Second)
		require.Greater(t, p.used(500*ms, 5*time.Second), 2000., "after %v", d)
	}
}

// Clocks of which one is 200 ppm fast, for longer than the way's own delay is remembered.
func TestSkew(t *testing.T) {
	for _, ppm := range []int64{200, -200} {
		p := newPath(t, open)
		p.skew = ppm
		p.run(3 * time.Minute)
		p.step = p.from
		require.Greater(t, quantile(p.over(p.targets, 2*time.Second, time.Hour), 0), 2300.)
		require.Less(t, p.c.State().Queue, 10*ms)
	}
}

// Before the receiver has told of anything nothing is held, and it is not probed.
func TestNobodyHeard(t *testing.T) {
	p := newPath(t, open)
	p.c.Want(p.wanted)
	_, due := p.c.Probe()
	require.False(t, due, "nothing is known of who is probed")
	require.False(t, p.c.State().Known)
	require.Zero(t, p.c.State().Hold)
}
