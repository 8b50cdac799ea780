package call

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A client with video is told nothing between its media's beginning and a moment after its request for a key frame, however
// often that begins anew, or it asks; one with sound alone is not kept waiting; one that never asks is told after a second.
func TestNewsWaitForTheReceiver(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name    string
		picture bool
		do      func(n *news) // in the test's time, which begins at 0
		want    []time.Duration
	}{
		{"sound", false, func(n *news) {
			signal(n.changed)
			time.Sleep(100 * ms)
			signal(n.begun)
			time.Sleep(3000 * ms)
			signal(n.changed)
		}, []time.Duration{100 * ms, 1600 * ms, 3100 * ms}},
		{"asks", true, func(n *news) {
			signal(n.changed)
			signal(n.begun)
			time.Sleep(70 * ms)
			signal(n.changed)
			time.Sleep(10 * ms)
			for range 5 {
				signal(n.receiving)
				time.Sleep(100 * ms)
			}
		}, []time.Duration{380 * ms, 1500 * ms}},
		{"asks before our media is up", true, func(n *news) {
			signal(n.changed)
			time.Sleep(10 * ms)
			signal(n.receiving)
			time.Sleep(30 * ms)
			signal(n.begun)
		}, []time.Duration{340 * ms, 1540 * ms}},
		{"never asks", true, func(n *news) { signal(n.begun) }, []time.Duration{1000 * ms, 1500 * ms}},
		{"begins anew", true, func(n *news) {
			signal(n.begun)
			time.Sleep(100 * ms)
			signal(n.receiving)
			time.Sleep(4900 * ms)
			signal(n.begun)
			time.Sleep(100 * ms)
			signal(n.changed)
			time.Sleep(200 * ms)
			signal(n.receiving)
		}, []time.Duration{400 * ms, 1500 * ms, 5600 * ms, 6500 * ms}},
		{"no media", true, func(n *news) { signal(n.changed); signal(n.receiving) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				began := time.Now()
				var told []time.Duration
				var running sync.WaitGroup
				n := newNews()
				n.picture.Store(c.picture)
				running.Go(func() { n.run(ctx, func() { told = append(told, time.Since(began)) }) })
				synctest.Wait()
				c.do(n)
				time.Sleep(10 * time.Second)
				cancel()
				running.Wait()
				if !slices.Equal(told, c.want) {
					t.Errorf("told at %v, want %v", told, c.want)
				}
			})
		})
	}
}
