package leg

import (
	"slices"
	"testing"
	"time"
)

const ms = time.Millisecond

// What is missing is asked for at once and then once a round trip, until it comes or nobody waits any more.
func TestGapsAreAskedForOnceARoundTrip(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	var g gaps
	g.opened(10, 13, at(0))
	ask, next := g.due(0, 80*ms, at(0), nil)
	if !slices.Equal(ask, []uint16{10, 11, 12}) || next != at(110*ms) {
		t.Fatalf("asked for %v, next at %v", ask, next.Sub(start))
	}
	if ask, _ = g.due(0, 80*ms, at(109*ms), nil); len(ask) > 0 {
		t.Errorf("asked for %v before an answer could be there", ask)
	}
	g.closed(11, 80*ms, at(85*ms))
	if ask, _ = g.due(0, 80*ms, at(110*ms), nil); !slices.Equal(ask, []uint16{10, 12}) {
		t.Errorf("asked again for %v", ask)
	}
	g.forget(12)
	if ask, _ = g.due(0, 80*ms, at(220*ms), nil); !slices.Equal(ask, []uint16{12}) {
		t.Errorf("asked for %v, which nobody waits for", ask)
	}
	asks := 3
	for now := at(330 * ms); ; asks++ {
		ask, next = g.due(0, 80*ms, now, nil)
		if len(ask) == 0 {
			break
		}
		now = next
	}
	if asks != maxAsks {
		t.Errorf("asked %d times, want %d", asks, maxAsks)
	}
	g.clear()
	if ask, next = g.due(0, 80*ms, at(time.Hour), nil); len(ask) > 0 || !next.IsZero() {
		t.Errorf("asked for %v of another stream", ask)
	}
}

// Packets that only overtake each other are not asked for, once that has been seen.
func TestGapsLearnReordering(t *testing.T) {
	start := time.Unix(1000, 0)
	var g gaps
	asked := 0
	for seq := uint16(65530); seq != 20; seq += 2 { // each comes 15 ms after the next
		now := start.Add(time.Duration(seq-65530) * 30 * ms)
		g.opened(seq, seq+1, now)
		for ; ; now = now.Add(5 * ms) {
			ask, _ := g.due(seq, 100*ms, now, nil)
			asked += len(ask)
			if now.Sub(g.list[0].seen) == 15*ms {
				break
			}
		}
		g.closed(seq, 100*ms, now)
	}
	if asked > 2 {
		t.Errorf("asked %d times for what was on its way", asked)
	}
	// A path that loses instead unlearns it.
	for seq := uint16(100); seq < 300; seq++ {
		now := start.Add(time.Minute + time.Duration(seq)*300*ms)
		g.opened(seq, seq+1, now)
		_, next := g.due(0, 100*ms, now, nil)
		g.due(0, 100*ms, next, nil)
		g.closed(seq, 100*ms, next.Add(100*ms))
	}
	if g.tolerance > ms {
		t.Errorf("%v are still waited", g.tolerance)
	}
}

// Without reports the round trip is learned from answers.
func TestGapsLearnTheRoundTrip(t *testing.T) {
	for _, rtt := range []time.Duration{30 * ms, 300 * ms} {
		start := time.Unix(1000, 0)
		var g gaps
		asked := 0
		for seq := range uint16(200) {
			now := start.Add(time.Duration(seq) * time.Second)
			g.opened(seq, seq+1, now)
			_, next := g.due(0, 0, now, nil)
			for asked = 1; next.Before(now.Add(rtt)); asked++ {
				_, next = g.due(0, 0, next, nil)
			}
			g.closed(seq, 0, now.Add(rtt))
		}
		if got := g.roundTrip(0); got < rtt*8/10 || got > rtt*11/10 || asked != 1 {
			t.Errorf("a round trip of %v is taken for %v, and asked for %d times", rtt, got, asked)
		}
	}
}

// A key frame behind a gap ends the wait for it.
func TestAssemblerGoesOnAtAKeyFrame(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []in
		want []string
	}{
		{"that is whole", []in{{1, 10, "Ka", true, 0}, {3, 20, "c", true, 1 * ms}, {4, 30, "Kd", false, 2 * ms}, {5, 30, "e", true, 3 * ms}, {6, 40, "f", true, 4 * ms}},
			[]string{"Ka", "!Kde", "f"}},
		{"whose marker is missing", []in{{1, 10, "Ka", true, 0}, {3, 30, "Kd", false, 2 * ms}, {4, 30, "e", false, 3 * ms}, {5, 40, "f", true, 4 * ms}},
			[]string{"Ka", "!Kde", "f"}},
		{"with two first packets", []in{{1, 10, "Ka", true, 0}, {3, 30, "Kd", false, 2 * ms}, {4, 30, "Ke", true, 3 * ms}},
			[]string{"Ka", "!KdKe"}},
		{"but not while it lacks something itself", []in{{1, 10, "Ka", true, 0}, {3, 20, "Kc", false, 1 * ms}, {5, 20, "e", true, 2 * ms}, {2, 15, "b", true, 3 * ms}, {4, 20, "d", false, 4 * ms}},
			[]string{"Ka", "b", "Kcde"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := assembled(t, tt.in); !slices.Equal(got, tt.want) {
				t.Errorf("pictures %q, want %q", got, tt.want)
			}
		})
	}
}

// Lost padding is not waited for, as nobody sends it again; a lost picture is not taken for padding.
func TestAssemblerKnowsLostPadding(t *testing.T) {
	begin := []in{{1, 10, "Ka", true, 0}, {2, 20, "b", true, 0}, {3, 30, "c", true, 0}}
	for _, tt := range []struct {
		name string
		in   []in
		want []string
	}{
		{"after a picture", []in{{5, 30, "", false, 1 * ms}, {6, 40, "d", true, 2 * ms}}, []string{"d"}},
		{"between padding", []in{{4, 30, "", false, 1 * ms}, {7, 30, "", false, 1 * ms}, {8, 40, "d", true, 2 * ms}}, []string{"d"}},
		{"before the next picture", []in{{4, 30, "", false, 1 * ms}, {6, 40, "Bd", true, 2 * ms}}, []string{"Bd"}},
		{"which is a key frame", []in{{6, 40, "Kd", true, 2 * ms}}, []string{"!Kd"}},
		{"but not a picture", []in{{5, 50, "Bd", true, 2 * ms}, {6, 60, "e", true, 300 * ms}}, []string{"!Bd", "e"}},
		{"nor the first packet of one", []in{{5, 40, "d", true, 2 * ms}, {6, 50, "Be", true, 300 * ms}}, []string{"!Be"}},
		{"nor the last", []in{{4, 40, "d", false, 2 * ms}, {6, 50, "Be", true, 3 * ms}, {7, 60, "f", true, 300 * ms}}, []string{"!Be", "f"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := assembled(t, append(slices.Clone(begin), tt.in...))
			if want := append([]string{"Ka", "b", "c"}, tt.want...); !slices.Equal(got, want) {
				t.Errorf("pictures %q, want %q", got, want)
			}
		})
	}
}
