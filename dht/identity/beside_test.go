package identity

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkBesideKeys measures how late what has to happen every 20 ms, for 2 ms, is while the keys of an account are made in the same
// program: a meeting may be on.
func BenchmarkBesideKeys(b *testing.B) {
	stop := make(chan struct{})
	done := make(chan []time.Duration)
	go func() {
		var late []time.Duration
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case at := <-tick.C:
				began := time.Now()
				late = append(late, began.Sub(at))
				for time.Since(began) < 2*time.Millisecond {
				}
			case <-stop:
				done <- late
				return
			}
		}
	}()
	for b.Loop() {
		if _, err := NewAccount(time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	close(stop)
	late := <-done
	if slices.Sort(late); len(late) > 0 {
		b.ReportMetric(float64(late[len(late)*99/100].Microseconds())/1000, "late-p99-ms")
	}
}
