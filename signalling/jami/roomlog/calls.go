package roomlog

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"rendezvous/swarm/commit"
)

// seenEvery is how often it is noted that a meeting goes on, for the length of one that a
// crash cut off.
const seenEvery = 10 * time.Second

// Bounds of the list of who was there.
const (
	maxAttendees     = 500
	maxAttendeeBytes = 8000
)

// resume ends the meeting that was on when the program died, and takes note of one that is on.
func (m *Log) resume() {
	if old := m.state.get().Meeting; old != nil {
		m.ended(old.Seen)
	}
	info := m.cfg.Room.Info()
	m.opened = time.Now()
	if info.Began == nil {
		return
	}
	m.began(*info.Began)
	for _, p := range info.Participants {
		if !p.Waiting {
			m.attended(p.Name)
		}
	}
}

// began tells that a meeting is on. Members' clients show it as a call that one can join: they
// call our device, which has them in the room.
func (m *Log) began(at time.Time) {
	if m.state.get().Meeting != nil { // its end was dropped
		m.ended(at)
	}
	conference := strconv.FormatInt(rand.Int64(), 10)
	m.remember(func(d *stateData) { d.Meeting = &meeting{Conference: conference, Began: at, Seen: at} })
	m.say(commit.CallStarted(conference, m.cfg.Device.String(), m.cfg.Account.String()))
}

// ended tells that the meeting is over, how long it was and who was there.
func (m *Log) ended(at time.Time) {
	on := m.state.get().Meeting
	if on == nil {
		return
	}
	msg := commit.CallEnded(on.Conference, m.cfg.Device.String(), m.cfg.Account.String(), max(0, at.Sub(on.Began).Milliseconds()))
	if names := clip(strings.Join(on.People, ", "), maxAttendeeBytes); names != "" {
		msg.Fields["attendees"] = names // a field of our own: daemons pass on what they do not know
	}
	if _, ok := m.say(msg); ok {
		m.remember(func(d *stateData) { d.Meeting = nil })
	}
}

// attended notes who was there.
func (m *Log) attended(name string) {
	on := m.state.get().Meeting
	if on == nil || name == "" || len(on.People) >= maxAttendees || slices.Contains(on.People, name) {
		return
	}
	m.state.note(func(d *stateData) { // saved with the next change, or soon
		next := *on
		next.People = append(slices.Clone(on.People), name)
		d.Meeting = &next
	})
}

// stillOn notes that the meeting goes on.
func (m *Log) stillOn() {
	if on := m.state.get().Meeting; on != nil {
		m.remember(func(d *stateData) {
			next := *on
			next.Seen = time.Now()
			d.Meeting = &next
		})
	}
}

func (m *Log) remember(f func(*stateData)) {
	if err := m.state.change(f); err != nil {
		m.log.Error("the conversation's state cannot be kept", "error", err)
	}
}
