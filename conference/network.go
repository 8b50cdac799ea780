package conference

import (
	"time"

	"rendezvous/mixer/leg"
)

// sampleEvery is how often participants' paths are looked at.
const sampleEvery = time.Second

// What people are shown of a path is no flicker: it gets worse when it has been so for a while, and better after longer.
const (
	worseAfter  = 2 // samples
	betterAfter = 6
)

// networkMeter follows one participant's path. It is guarded as its member is.
type networkMeter struct {
	newest leg.Quality
	class  leg.Class // as it is shown
	next   leg.Class // what the last samples said, if that is something else,
	times  int       // and how many of them in a row
}

// add takes a sample, and reports whether another class is shown from now on.
func (n *networkMeter) add(q leg.Quality) (changed bool) {
	n.newest = q
	c := q.Class()
	if c == n.class || c == leg.ClassUnknown {
		n.times = 0
		return false
	}
	if c != n.next {
		n.next, n.times = c, 0
	}
	n.times++
	need := betterAfter
	if badness(c) > badness(n.class) || n.class == leg.ClassUnknown {
		need = worseAfter
	}
	if n.times < need {
		return false
	}
	n.class, n.times = c, 0
	return true
}

func badness(c leg.Class) int {
	switch c {
	case leg.ClassPoor:
		return 2
	case leg.ClassFair:
		return 1
	}
	return 0
}
