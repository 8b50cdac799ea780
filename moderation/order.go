package moderation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
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
	Lock          Action = "lock"           // On: nobody else comes in
	Lobby         Action = "lobby"          // On: newcomers wait
	Admit         Action = "admit"          // Target in the lobby
	Deny          Action = "deny"           // Target in the lobby
	AdmitAll      Action = "admit-all"      // everybody in the lobby
	Hand          Action = "hand"           // Target ("" is the actor); On
	Floor         Action = "floor"          // Target; On: gives or takes the floor
	Lecture       Action = "lecture"        // On: only floor holders and moderators are heard
	Pin           Action = "pin"            // Target; On; Media "video" (default) or "screen"
	SetLayout     Action = "layout"         // Text: a Layout
	HideNonVideo  Action = "hide-non-video" // On: who shows no picture has no tile
	OrderTiles    Action = "order-tiles"    // Targets in order; none: back to the order of arrival
	Rename        Action = "rename"         // Target; Text: the name
	SetRole       Action = "role"           // Target; Text: role name
	Record        Action = "record"         // Text: "start", "pause", "resume", "stop"
	Announce      Action = "announce"       // Text, shown and spoken to all
	Limits        Action = "limits"         // N participants, 0 leaves it; Text: see Limit
	EndWithHost   Action = "end-with-host"  // On: the meeting ends when its host leaves
	End           Action = "end"            // puts everybody out
	Dial          Action = "dial"           // Text: address to call
	Move          Action = "move"           // Target; Text: room id
	Chat          Action = "chat"           // Text, a line of the room's chat
	React         Action = "react"          // Text: one of Reactions, shown for a moment
	MuteNoisy     Action = "mute-noisy"     // mutes those whose noise never pauses
	VoiceActivity Action = "voice-activity" // Target self; On: the caller's own detector (Jami)
)

// Order is one thing somebody wants done, whichever door it came through.
//
// Orders that take a Target may be given Targets instead: they are then decided
// and carried out for each of them by itself.
type Order struct {
	Action  Action   `json:"action"`
	Target  string   `json:"target,omitempty"`  // participant id
	Targets []string `json:"targets,omitempty"` // participant ids, for bulk orders
	Media   string   `json:"media,omitempty"`   // "audio", "video", "screen"
	On      bool     `json:"on,omitempty"`
	Text    string   `json:"text,omitempty"`
	N       int      `json:"n,omitempty"`
}

// String is the order as lists show it: what is to be done, without whom it is about.
func (o Order) String() string {
	s := string(o.Action)
	if o.Media != "" {
		s += " " + o.Media
	}
	switch o.Action {
	case Mute, MuteAll, MuteOthers, SelfUnmute, Ban, Lock, Lobby, Hand, Floor, Lecture, Pin, HideNonVideo, EndWithHost:
		if o.On {
			s += " on"
		} else {
			s += " off"
		}
	}
	if o.Text != "" {
		s += fmt.Sprintf(" %q", o.Text)
	}
	if o.N != 0 {
		s += fmt.Sprintf(" %d", o.N)
	}
	return s
}

// Limits of an order, so that nobody can make the host keep or relay much.
const (
	MaxOrderBytes = 128 << 10 // of an order as JSON
	MaxTargets    = 1000      // of one bulk order
	MaxID         = 256       // bytes of a target (an identity may be long)
	MaxText       = 4096      // bytes of Order.Text, whatever the order is
	MaxPeople     = 10000     // that a Limits order may allow
)

// ParseOrder reads an order from JSON and checks its form (Order.Check). Unknown
// members, trailing data and orders larger than MaxOrderBytes are errors.
func ParseOrder(b []byte) (Order, error) {
	if len(b) > MaxOrderBytes {
		return Order{}, fmt.Errorf("order of %d bytes is too long (at most %d)", len(b), MaxOrderBytes)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var o Order
	if err := d.Decode(&o); err != nil {
		return Order{}, fmt.Errorf("order is not the expected JSON object: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Order{}, fmt.Errorf("something follows the order")
	}
	if err := o.Check(); err != nil {
		return Order{}, err
	}
	return o, nil
}
