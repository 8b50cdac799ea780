package ladder

import "time"

// load watches whether encoding keeps up with the picture clock. When it does not, the
// ladder encodes every second or third picture only, so that what is sent is never old.
type load struct {
	divisor int
	average time.Duration // of a pass, slowly moving
	since   time.Time     // of the last change
}

const (
	busyPass   = 28 * time.Millisecond // of the 33 ms between two pictures
	easyPass   = 9 * time.Millisecond  // three times as much would still fit
	maxDivisor = 3
	busyFor    = time.Second
	easyFor    = 5 * time.Second
)

// observe takes the duration of one pass.
func (l *load) observe(took time.Duration, now time.Time) {
	if took == 0 {
		return
	}
	l.average += (took - l.average) / 16
	switch {
	case l.since.IsZero():
		l.since = now
	case l.average > busyPass && now.Sub(l.since) > busyFor && l.divisor < maxDivisor:
		l.divisor++
		l.since = now
	case l.average < easyPass && now.Sub(l.since) > easyFor && l.divisor > 1:
		l.divisor--
		l.since = now
	}
}
