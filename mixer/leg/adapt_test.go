package leg

import (
	"testing"
	"time"

	"rendezvous/mixer/ladder"
)

var testRungs = []ladder.Rung{
	{Width: 1280, Height: 720, FPS: 30, Bitrate: 1_500_000},
	{Width: 640, Height: 360, FPS: 30, Bitrate: 600_000},
	{Width: 320, Height: 180, FPS: 15, Bitrate: 150_000},
}

// path is a network that carries so much; what an estimator says of it is at most
// half as much again as what is sent, as for GCC.
type path struct {
	capacity int
}

func (p path) estimate(sent int) (available, loss int) {
	if sent > p.capacity {
		return p.capacity * 90 / 100, 5
	}
	return min(p.capacity, sent*3/2), 0
}

func TestAdapter(t *testing.T) {
	tests := []struct {
		name     string
		capacity int
		want     int     // rung after a minute
		moves    int     // at most so many changes of rung in that minute
		share    float64 // of the time at that rung, at least
	}{
		{"fast", 5_000_000, 0, 2, 0.8},
		{"medium", 900_000, 1, 8, 0.8},
		{"slow", 300_000, 2, 8, 0.8},
		{"very slow", 100_000, 2, 8, 0.8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var a adapter
			now := time.Unix(1000, 0)
			rung := a.decide(testRungs, startBitrate, 0, now)
			moves, there, steps := 0, 0, 0
			for range 240 {
				now = now.Add(adaptInterval)
				available, loss := path{tt.capacity}.estimate(need(testRungs[rung]))
				next := a.decide(testRungs, available, loss, now)
				if next != rung {
					moves++
				}
				rung = next
				steps++
				if rung == tt.want {
					there++
				}
			}
			if moves > tt.moves {
				t.Errorf("%d changes in a minute, want at most %d", moves, tt.moves)
			}
			if s := float64(there) / float64(steps); s < tt.share {
				t.Errorf("at rung %d for %.0f %% of the time, want %.0f %%", tt.want, s*100, tt.share*100)
			}
		})
	}
}

// A path that was bad and is good again is found out, though the estimator sees only
// what is sent.
func TestAdapterClimbsBack(t *testing.T) {
	var a adapter
	now := time.Unix(1000, 0)
	rung := a.decide(testRungs, 200_000, 0, now)
	if rung != 2 {
		t.Fatalf("began at rung %d, want 2", rung)
	}
	for i := 0; rung != 0; i++ {
		if i == 240 {
			t.Fatalf("still at rung %d after a minute of a good path", rung)
		}
		now = now.Add(adaptInterval)
		available, loss := path{5_000_000}.estimate(need(testRungs[rung]))
		rung = a.decide(testRungs, available, loss, now)
	}
}
