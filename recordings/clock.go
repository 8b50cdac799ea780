package recordings

import "time"

const (
	// leap is how far the wall clock may be ahead of what is known without being doubted.
	leap = 24 * time.Hour
	// hold is how long a doubted clock must go on steadily, while the host runs, to be believed.
	hold = 24 * time.Hour
)

// clock judges the wall clock before something is deleted for its age: it may have jumped. What is known is the
// latest time that was believed, also by earlier runs, and for how long the host has been running since.
type clock struct {
	known   time.Time     // the latest time that was believed; zero: none
	knownAt time.Duration // time of running at which it was

	doubted time.Time     // when the host began to run, by a clock that is doubted; zero: none is
	since   time.Duration // time of running since when it is
}

// look takes in what the wall clock says after so much time of running, and returns whether to believe it.
func (c *clock) look(wall time.Time, running time.Duration) bool {
	wall = wall.Round(0) // what it says, and not what the monotonic clock makes of it
	switch {
	case c.known.IsZero():
	case !wall.After(c.known.Add(running - c.knownAt + leap)):
		c.doubted = time.Time{}
		if !wall.After(c.known) {
			return true // nothing is older than it was thought to be
		}
	default:
		began := wall.Add(-running)
		if c.doubted.IsZero() || began.Sub(c.doubted).Abs() > time.Hour {
			c.doubted, c.since = began, running
		}
		if running-c.since < hold {
			return false
		}
		c.doubted = time.Time{}
	}
	c.known, c.knownAt = wall, running
	return true
}
