package conference

import (
	"testing"

	"rendezvous/mixer/leg"
)

// A path that wavers is no news; one that is bad is soon, one that is good again is later.
func TestNetworkMeter(t *testing.T) {
	sample := map[rune]leg.Quality{
		'g': {RoundTripMS: 20, QueueMS: -1, LossDown: 0, LossUp: 0},
		'f': {RoundTripMS: 20, QueueMS: -1, LossDown: 4, LossUp: 0},
		'p': {RoundTripMS: 20, QueueMS: -1, LossDown: 20, LossUp: 0},
		'-': {RoundTripMS: -1, QueueMS: -1, LossDown: -1, LossUp: -1},
	}
	var n networkMeter
	shown := ""
	for _, step := range "--ggg" + "pgpgfg" + "pp" + "ggg" + "pgggggg" + "ff----" {
		if n.add(sample[step]) {
			shown += string(step) + string(n.class) + " "
		}
	}
	if want := "ggood ppoor ggood ffair "; shown != want || n.class != leg.ClassFair {
		t.Errorf("shown %q, want %q; at last %q", shown, want, n.class)
	}
	if n.newest != sample['-'] {
		t.Errorf("the newest is %+v", n.newest)
	}
}
