package leg

import (
	"testing"
	"time"

	"github.com/pion/rtcp"

	"rendezvous/mixer/ladder"
)

var testRungs = []ladder.Rung{
	{Width: 1280, Height: 720, FPS: 30, Bitrate: 1_500_000},
	{Width: 640, Height: 360, FPS: 30, Bitrate: 600_000},
	{Width: 320, Height: 180, FPS: 15, Bitrate: 150_000},
}

// link is a network that carries so much; what an estimator says of it is at most
// half as much again as what is sent, as for GCC.
type link struct {
	capacity int
}

func (p link) estimate(sent int) (available, loss int) {
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
			rung := a.decide(testRungs, path{available: startBitrate}, now)
			moves, there, steps := 0, 0, 0
			for range 240 {
				now = now.Add(adaptInterval)
				available, loss := link{tt.capacity}.estimate(need(testRungs[rung]))
				next := a.decide(testRungs, path{available: available, measured: true, loss: loss, lossAt: now}, now)
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
	rung := a.decide(testRungs, path{available: 200_000, measured: true}, now)
	if rung != 2 {
		t.Fatalf("began at rung %d, want 2", rung)
	}
	for i := 0; rung != 0; i++ {
		if i == 240 {
			t.Fatalf("still at rung %d after a minute of a good path", rung)
		}
		now = now.Add(adaptInterval)
		available, loss := link{5_000_000}.estimate(need(testRungs[rung]))
		rung = a.decide(testRungs, path{available: available, measured: true, loss: loss, lossAt: now}, now)
	}
}

// Peers without an estimator are judged by receiver reports alone: a rung is left when packets
// are lost, and tried again ever more seldom.
func TestAdapterByLossAlone(t *testing.T) {
	for _, tt := range []struct {
		name     string
		capacity int
		every    time.Duration // between two receiver reports
		want     int           // rung
		moves    int           // at most, in five minutes
		share    float64
	}{
		{"fast", 10_000_000, time.Second, 0, 0, 1},
		{"medium", 900_000, time.Second, 1, 16, 0.85},
		{"slow", 300_000, time.Second, 2, 16, 0.85},
		{"slow, few reports", 300_000, 5 * time.Second, 2, 16, 0.7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var a adapter
			var n network
			n.init(Media{})
			now := time.Unix(1000, 0)
			reported, rung, moves, there, sent, lost := now, -1, 0, 0, 0.0, 0.0
			const steps = 1200
			for range steps {
				var p path
				p.available, p.measured = n.available(now)
				p.loss, p.lossAt = n.lossPercent(now)
				next := a.decide(testRungs, p, now)
				if rung >= 0 && next != rung {
					moves++
				}
				rung = next
				n.send(need(testRungs[rung]))
				if rung == tt.want {
					there++
				}
				sent += float64(need(testRungs[rung]))
				lost += float64(max(0, need(testRungs[rung])-tt.capacity))
				now = now.Add(adaptInterval)
				if now.Sub(reported) >= tt.every {
					n.reports([]rtcp.ReceptionReport{{FractionLost: uint8(255 * lost / sent)}}, 0, now)
					reported, sent, lost = now, 0, 0
				}
			}
			if s := float64(there) / steps; moves > tt.moves || s < tt.share {
				t.Errorf("%d changes in five minutes, want at most %d; at rung %d for %.0f %% of the time, want %.0f %%",
					moves, tt.moves, tt.want, s*100, tt.share*100)
			}
		})
	}
}

// One report of heavy loss is answered once, and one about somebody else not at all; an old one
// is forgotten.
func TestLossIsAnsweredOnce(t *testing.T) {
	var a adapter
	var n network
	n.init(Media{})
	now := time.Unix(1000, 0)
	lowest := 0
	for i := range 200 {
		if i == 8 {
			n.reports([]rtcp.ReceptionReport{{SSRC: 8, FractionLost: 255}, {SSRC: 7, FractionLost: 32}}, 7, now)
		}
		var p path
		p.available, p.measured = n.available(now)
		p.loss, p.lossAt = n.lossPercent(now)
		if i > 8 && i < 72 && p.loss != 13 || i > 73 && p.loss != 0 {
			t.Fatalf("loss of %d %% at %v", p.loss, time.Duration(i)*adaptInterval)
		}
		rung := a.decide(testRungs, p, now)
		n.send(need(testRungs[rung]))
		lowest = max(lowest, rung)
		now = now.Add(adaptInterval)
	}
	if lowest != 1 {
		t.Errorf("went down to rung %d, want 1", lowest)
	}
}

// Several callers behind one narrow link do not chase each other up and down. Their estimators
// behave as the web door's: down to what arrives when the link is full, up 8 % a second, slower
// where it was full before.
func TestAdaptersShareALink(t *testing.T) {
	const capacity, minutes = 2_000_000, 5
	type caller struct {
		adapter
		estimate, ceiling float64
		rung, moves       int
	}
	callers := []*caller{{estimate: 1.2e6, rung: -1}, {estimate: 1.2e6, rung: -1}}
	now := time.Unix(1000, 0)
	full, steps := 0, 0
	for range minutes * 240 {
		sum := 0
		for _, c := range callers {
			rung := c.decide(testRungs, path{available: int(c.estimate), measured: true}, now)
			if c.rung >= 0 && rung != c.rung {
				c.moves++
			}
			c.rung = rung
			sum += need(testRungs[rung])
		}
		now = now.Add(adaptInterval)
		steps++
		if sum > capacity {
			full++
		}
		for _, c := range callers {
			switch growth := 1.02; {
			case sum > capacity:
				arrives := 0.85 * float64(need(testRungs[c.rung])) * capacity / float64(sum)
				c.estimate = min(c.estimate, arrives)
				c.ceiling = c.estimate
			default:
				if c.ceiling > 0 && c.estimate > 0.9*c.ceiling {
					growth = 1.0025
				}
				c.estimate = min(c.estimate*growth, maxBitrate)
			}
		}
	}
	for i, c := range callers {
		t.Logf("caller %d: %d changes in %d minutes, at rung %d", i, c.moves, minutes, c.rung)
		if c.moves > 6*minutes {
			t.Errorf("caller %d: %d changes in %d minutes", i, c.moves, minutes)
		}
	}
	if full*20 > steps {
		t.Errorf("the link was full in %d of %d steps", full, steps)
	}
}
