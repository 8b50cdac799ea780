package conference

import (
	"time"

	"rendezvous/moderation"
)

// Pauses before a recording that failed is begun again: the first, and the longest. One that ran for longer
// than the longest was a success.
const (
	firstRetake = 5 * time.Second
	mostRetake  = 2 * time.Minute
)

// retake is a recording that failed and is to be begun again by itself: the disk may have space again, or be there
// again.
type retake struct {
	at    time.Time // zero: there is none
	by    string
	pause time.Duration // before it
	told  bool          // the moderators know that it fails
}

// recordsByItself tells whether the room is recorded without an order.
func (r *Room) recordsByItself() bool {
	return r.cfg.Recording == moderation.RecordAuto || r.cfg.Recording == moderation.RecordAlways
}

// retakeLater notes when a recording that failed is begun again, if the room's policy wants it, and returns whether the
// moderators have been told of the trouble already. The room is locked.
func (r *Room) retakeLater(t *recordingRun) (told bool) {
	if !r.recordsByItself() {
		return false
	}
	if !t.began.IsZero() && time.Since(t.began) > mostRetake {
		r.retake.pause = 0
	}
	told = r.retake.told
	pause := min(max(firstRetake, 2*r.retake.pause), mostRetake)
	r.retake = retake{at: time.Now().Add(pause), by: t.by, pause: pause, told: true}
	return told
}

// checkRetake begins what is to be begun again. The room is locked.
func (r *Room) checkRetake(now time.Time) {
	if !r.retake.at.IsZero() && !now.Before(r.retake.at) && r.recordsByItself() {
		r.startRecording(r.retake.by)
	}
}
