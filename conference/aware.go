package conference

import "rendezvous/moderation"

// Nobody is in a recording who has not been told of it. Whoever comes into a room that is recorded is told by a
// NoticeRecordingStarted; a caller whose door can say it only then (Caller.ToldInside) is neither heard nor seen until it
// has. Those who are there when a recording begins are told when it does.

// beingRecorded tells whether who comes in now will be in a recording: one is being made, is about to be, or begins with them.
func (r *Room) beingRecorded() bool {
	switch {
	case r.host.cfg.Recorder == nil || r.recording == moderation.RecordingPaused:
		return false
	case r.run != nil:
		return true
	}
	return r.began.IsZero() && r.recordsByItself()
}

// Recorded reports whether the room is recorded, or will be if somebody comes in now: what a door can tell its caller
// before they do. One that is paused counts, as it may go on at any time.
func (r *Room) Recorded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.beingRecorded() || r.recording == moderation.RecordingPaused || !r.retake.at.IsZero() && r.recordsByItself()
}

// tellRecorded tells those who do not know it yet that they are being recorded.
func (r *Room) tellRecorded() {
	r.tell(Notice{Kind: NoticeRecordingStarted}, func(m *Member) bool { return !m.aware })
	for _, m := range r.members {
		m.aware = m.aware || !m.waiting
	}
}

// unrecorded forgets who knows, after the end of a recording: the next one is told anew.
func (r *Room) unrecorded() {
	for _, m := range r.members {
		m.aware, m.hushed = false, false
	}
	r.settle()
}

// Informed says that the caller, of whom ToldInside is so, has been told that the meeting is recorded. If they were not
// heard and seen for want of that, they are now.
func (m *Member) Informed() {
	r := m.lock()
	defer r.mu.Unlock()
	if m.hushed {
		m.hushed = false
		r.settle()
	}
}
