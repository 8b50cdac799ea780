package moderation

// Role is what a participant may do. Higher roles include the lower ones'
// rights, except that an Observer only watches.
type Role uint8

// The roles, weakest first.
const (
	Observer  Role = iota // hears and sees, is not heard or shown (recorders, WHEP viewers)
	Listener              // may raise a hand, cannot speak unless given the floor
	Speaker               // the ordinary participant
	Moderator             // runs the meeting
	Host                  // runs the meeting and cannot be removed by moderators
)

// Action names an order. The text is what the control API, the audit log and webhooks show.
type Action string

// The orders.
const (
	Mute          Action = "mute"           // Target; On; Media "audio" (default), "video", "screen"
	MuteAll       Action = "mute-all"       // On; everybody except moderators and hosts
	MuteOthers    Action = "mute-others"    // On; everybody but those who talk now and moderators
	SelfUnmute    Action = "self-unmute"    // On: participants may unmute themselves
	Remove        Action = "remove"         // Target; Text: reason
	Ban           Action = "ban"            // Target; On; Text: "meeting" (default) or "forever"; unban takes an identity as Target
	Lock          Action = "lock"           // On
	Lobby         Action = "lobby"          // On: newcomers wait
	Admit         Action = "admit"          // Target in the lobby
	Deny          Action = "deny"           // Target in the lobby
	AdmitAll      Action = "admit-all"      //
	Hand          Action = "hand"           // Target ("" is the actor himself); On
	Floor         Action = "floor"          // Target; On: gives or takes the floor
	Lecture       Action = "lecture"        // On: only floor holders and moderators are heard
	Pin           Action = "pin"            // Target; On; Media "video" (default) or "screen"
	SetLayout     Action = "layout"         // Text: "grid", "one-big", "one-big-with-small", "side-by-side"
	HideNonVideo  Action = "hide-non-video" // On
	OrderTiles    Action = "order-tiles"    // Targets in order
	Rename        Action = "rename"         // Target; Text
	SetRole       Action = "role"           // Target; Text: role name
	Record        Action = "record"         // Text: "start", "pause", "resume", "stop"
	Announce      Action = "announce"       // Text
	Limits        Action = "limits"         // N participants; Text: duration ("90m"), "" leaves it
	EndWithHost   Action = "end-with-host"  // On
	End           Action = "end"            // ends the meeting for all
	Dial          Action = "dial"           // Text: address to call
	Move          Action = "move"           // Target; Text: room id
	Chat          Action = "chat"           // Text
	MuteNoisy     Action = "mute-noisy"     //
	VoiceActivity Action = "voice-activity" // Target self; On: the caller's own detector (Jami)
)

// Order is one thing somebody wants done, whichever door it came through.
type Order struct {
	Action  Action   `json:"action"`
	Target  string   `json:"target,omitempty"`  // participant id
	Targets []string `json:"targets,omitempty"` // participant ids, for bulk orders
	Media   string   `json:"media,omitempty"`   // "audio", "video", "screen"
	On      bool     `json:"on,omitempty"`
	Text    string   `json:"text,omitempty"`
	N       int      `json:"n,omitempty"`
}
