package moderation

var ownPicture = check{
	"one's own video or screen, below moderator (turn it off at the source)",
	func(c situation) string {
		if c.self && c.order.Media != "" && c.order.Media != "audio" && c.actor.Role < Moderator {
			return "Turn your camera or screen off yourself."
		}
		return ""
	},
}

var mutedByModerator = check{
	"a moderator has muted one, self-unmute is off, and one unmutes oneself",
	func(c situation) string {
		if c.self && !c.order.On && c.target.Muted && !c.room.SelfUnmute && c.actor.Role < Moderator {
			return "A moderator has muted you."
		}
		return ""
	},
}

var lastModerator = check{
	"it would take away the last moderator, and the actor is no host",
	func(c situation) string {
		// Only a change into a lower role takes a moderator away.
		if c.order.Action == SetRole {
			if role, err := ParseRole(c.order.Text); err == nil && role >= Moderator {
				return ""
			}
		}
		leads := c.target.Role >= Moderator && !c.target.Waiting && !c.target.Gone
		if leads && c.room.Moderators <= 1 && c.actor.Role < Host {
			return "The meeting would be left without a moderator."
		}
		return ""
	},
}

var raisesOthersHand = check{
	"it raises somebody else's hand (lowering it is fine)",
	func(c situation) string {
		if !c.self && c.order.On {
			return "Only its owner can raise a hand."
		}
		return ""
	},
}

var takesFloor = check{
	"one gives the floor to oneself, below moderator (giving it back is fine)",
	func(c situation) string {
		if c.self && c.order.On && c.actor.Role < Moderator {
			return "A moderator gives the floor. Raise your hand."
		}
		return ""
	},
}

var observerFloor = check{
	"the floor would go to an observer",
	func(c situation) string {
		if c.order.On && c.target.Role == Observer {
			return "An observer only watches. Change the role first."
		}
		return ""
	},
}

var grantsMore = check{
	"the new role is higher than the actor's own",
	func(c situation) string {
		if role, err := ParseRole(c.order.Text); err == nil && role > c.actor.Role {
			return "You cannot give more rights than you have."
		}
		return ""
	},
}

var recordPolicy = check{
	"the room's recording policy forbids it",
	func(c situation) string {
		switch c.room.Policy {
		case RecordOnOrder, RecordAuto:
			return ""
		case RecordAlways:
			if c.order.Text == "stop" || c.order.Text == "pause" {
				return "This room is always recorded."
			}
			return ""
		}
		return "This room is not recorded."
	},
}

var recordState = check{
	"the recording is already so, or there is none",
	func(c situation) string {
		state := c.room.Recording
		switch {
		case c.order.Text == "start" && state == RecordingPaused:
			return "The recording is paused; resume it."
		case c.order.Text == "start" && state == RecordingOn:
			return "The meeting is already being recorded."
		case c.order.Text == "pause" && state != RecordingOn,
			c.order.Text == "stop" && state != RecordingOn && state != RecordingPaused:
			return "The meeting is not being recorded."
		case c.order.Text == "resume" && state != RecordingPaused:
			return "The recording is not paused."
		}
		return ""
	},
}

var dialForbidden = check{
	"calling out is not configured for the room",
	func(c situation) string {
		if !c.room.Dial {
			return "This room does not call out."
		}
		return ""
	},
}
