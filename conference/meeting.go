package conference

import (
	"fmt"
	"slices"
	"time"

	"rendezvous/moderation"
)

// warnings are how long before the end of a meeting people are told, the longest first.
var warnings = [...]time.Duration{5 * time.Minute, time.Minute}

// endMeeting puts everybody out and makes the room ready for the next meeting.
func (r *Room) endMeeting(reason EndReason) {
	for len(r.members) > 0 {
		m := r.members[len(r.members)-1]
		r.detach(m)
		m.box.end(reason)
		r.emitAbout(EventLeft, m, string(reason))
	}
	if r.stop != nil {
		close(r.stop)
		r.stop = nil
	}
	r.stopRecording()
	if !r.began.IsZero() {
		r.emit(Event{Kind: EventMeetingEnded, Reason: string(reason)})
	}
	r.reset()
}

// ends is when the meeting's time is up; zero: it is not limited. What comes first is asked of now: a clock that is set moves the one,
// and not the other.
func (r *Room) ends(now time.Time) time.Time {
	end := r.until
	if r.duration > 0 && !r.began.IsZero() {
		if t := r.began.Add(r.duration); end.IsZero() || t.Sub(now) < end.Sub(now) {
			end = t
		}
	}
	return end
}

// checkTimes ends what has lasted long enough.
func (r *Room) checkTimes(now time.Time) {
	for _, m := range slices.Clone(r.members) {
		if m.waiting && now.Sub(m.since) >= time.Duration(r.cfg.LobbyTimeout) {
			r.takeOut(m, EndTimeout)
		}
	}
	if len(r.members) == 0 {
		return
	}
	if end := r.ends(now); !end.IsZero() {
		left := end.Sub(now)
		switch {
		case left <= 0:
			r.log.Info("meeting's time is up")
			r.endMeeting(EndTimeout)
			return
		case r.due(left) > r.warned:
			r.warned = r.due(left)
			r.tell(Notice{NoticeEnding, fmt.Sprintf("The meeting ends in %s.", waitText(left))}, everybody)
		}
	}
	r.checkRetake(now)
	if !r.hostless.IsZero() && !now.Before(r.hostless) {
		r.hostless = time.Time{}
		if r.endWithHost && r.count(r.hostlessRole) == 0 {
			r.log.Info("meeting ends because its host has left")
			r.endMeeting(EndMeeting)
		}
	}
}

// due is how many of the warnings are due when so much of the meeting's time is left. A meeting that is no longer than that itself has
// the last one alone.
func (r *Room) due(left time.Duration) (n int) {
	for i, w := range warnings {
		short := r.duration > 0 && r.duration <= w && i < len(warnings)-1
		if left <= w && !short {
			n++
		}
	}
	return n
}

// hostLeft starts the grace time of a meeting that ends with its host: the last
// host or, in a meeting without any, the last moderator.
func (r *Room) hostLeft(m *Member) {
	if !r.endWithHost || m.role < moderation.Moderator || r.count(m.role) > 0 || !r.hostless.IsZero() {
		return
	}
	grace := time.Duration(r.cfg.HostGrace)
	r.hostless, r.hostlessRole = time.Now().Add(grace), m.role
	r.tell(Notice{NoticeEnding, fmt.Sprintf("The host has left. The meeting ends in %s.", waitText(grace))},
		everybody)
}
