package moderation

// Person is a participant, or somebody who gives orders from outside the room,
// as far as the rules care.
type Person struct {
	ID      string // participant id; "" for somebody outside the room
	Role    Role
	Waiting bool // in the lobby
	Gone    bool // has left; only a ban still reaches them
	Muted   bool // by a moderator
	Floor   bool // holds the floor
}

// Room is the state of a meeting, as far as the rules care.
type Room struct {
	Lecture    bool         // only floor holders and moderators are heard
	SelfUnmute bool         // who was muted may unmute themselves
	Moderators int          // moderators and hosts present, the lobby not counted
	Recording  Recording    // the host's own recording
	Policy     RecordPolicy // may there be one
	Dial       bool         // calling out is configured
}

// Heard is the rule whose sound reaches the others.
func Heard(p Person, r Room) bool {
	switch {
	case p.Waiting, p.Gone, p.Muted, p.Role == Observer:
		return false
	case p.Role >= Moderator, p.Floor:
		return true
	default:
		return p.Role == Speaker && !r.Lecture
	}
}
