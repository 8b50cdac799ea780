package conference

import (
	"time"

	"rendezvous/conference/audit"
)

// EventKind says what happened, as webhooks name it.
type EventKind string

// The events.
const (
	EventMeetingBegan     EventKind = "meeting.began"       // somebody is in the room
	EventMeetingEnded     EventKind = "meeting.ended"       // the last has left, or it was ended
	EventWaiting          EventKind = "participant.waiting" // in the lobby
	EventJoined           EventKind = "participant.joined"  // the room: from outside, the lobby or another one
	EventLeft             EventKind = "participant.left"    // Reason says why
	EventRecordingStarted EventKind = "recording.started"
	EventRecordingStopped EventKind = "recording.stopped"
	EventRecordingFailed  EventKind = "recording.failed" // Reason says why; what was recorded is still finished
	EventRecordingDone    EventKind = "recording.done"   // its film is finished, and safe
	EventOrder            EventKind = "order"            // Order says which, by whom and what became of it
	EventChat             EventKind = "chat"             // Message says what; Door, through which door it came
)

// Event is something that happened in a room, for programs that follow it from outside.
type Event struct {
	Kind        EventKind    `json:"kind"`
	Time        time.Time    `json:"time"`
	Room        string       `json:"room"`
	Participant string       `json:"participant,omitempty"` // id
	Name        string       `json:"name,omitempty"`
	Identity    string       `json:"identity,omitempty"`
	Door        string       `json:"door,omitempty"`
	Reason      string       `json:"reason,omitempty"`
	Recording   string       `json:"recording,omitempty"` // id; "" also of one that has failed before it began
	Order       *audit.Entry `json:"order,omitempty"`
	Message     *Message     `json:"message,omitempty"`
}

// emit tells those who follow the rooms from outside. The room is locked.
func (r *Room) emit(e Event) {
	if f := r.host.cfg.Events; f != nil {
		e.Time, e.Room = time.Now(), r.id
		f(e)
	}
}

// emitAbout is emit for what happened to a member.
func (r *Room) emitAbout(kind EventKind, m *Member, reason string) {
	r.emit(Event{Kind: kind, Participant: m.id, Name: m.name, Identity: m.caller.Identity, Door: m.caller.Door, Reason: reason})
}
