package moderation

// about says whom an order can be about.
type about uint8

const (
	nobody  about = iota // the meeting as a whole
	present              // somebody in the room
	waiting              // somebody in the lobby
	anyone               // in the room or in the lobby
	known                // also somebody who has just left, or an identity
)

// never marks what no role may do.
const never = Role(255)

// rule is one row of the table: who may give an order, about whom.
type rule struct {
	action Action
	others Role // least role to give it about others, or the whole meeting
	self   Role // least role to give it about oneself
	about  about
	rank   bool // not about somebody of a higher role than one's own
	unless []check
}

// check is a further condition of a rule, in words for the documentation and as
// a function that returns the reason to refuse, or "".
type check struct {
	words  string
	refuse func(c situation) string
}

type situation struct {
	actor  Person
	order  Order
	target Person
	self   bool
	room   Room
}

// The table. docs/moderation.md shows it; a test keeps the two the same.
var table = []rule{
	//order         others     self       about    rank   unless
	{Mute, Moderator, Listener, present, true, []check{ownPicture, mutedByModerator}},
	{MuteAll, Moderator, never, nobody, false, nil},
	{MuteOthers, Moderator, never, nobody, false, nil},
	{MuteNoisy, Moderator, never, nobody, false, nil},
	{SelfUnmute, Moderator, never, nobody, false, nil},
	{Remove, Moderator, never, anyone, true, []check{lastModerator}},
	{Ban, Moderator, never, known, true, []check{lastModerator}},
	{Lock, Moderator, never, nobody, false, nil},
	{Lobby, Moderator, never, nobody, false, nil},
	{Admit, Moderator, never, waiting, false, nil},
	{Deny, Moderator, never, waiting, true, nil},
	{AdmitAll, Moderator, never, nobody, false, nil},
	{Hand, Moderator, Listener, present, false, []check{raisesOthersHand}},
	{Floor, Moderator, Listener, present, false, []check{takesFloor, observerFloor}},
	{Lecture, Moderator, never, nobody, false, nil},
	{Pin, Moderator, Moderator, present, false, nil},
	{SetLayout, Moderator, never, nobody, false, nil},
	{HideNonVideo, Moderator, never, nobody, false, nil},
	{OrderTiles, Moderator, never, nobody, false, nil},
	{Rename, Moderator, Listener, anyone, true, nil},
	{SetRole, Moderator, Moderator, anyone, true, []check{grantsMore, lastModerator}},
	{Record, Moderator, never, nobody, false, []check{recordPolicy, recordState}},
	{Announce, Moderator, never, nobody, false, nil},
	{Limits, Moderator, never, nobody, false, nil},
	{EndWithHost, Moderator, never, nobody, false, nil},
	{End, Moderator, never, nobody, false, nil},
	{Dial, Moderator, never, nobody, false, []check{dialForbidden}},
	{Move, Moderator, Moderator, anyone, true, []check{lastModerator}},
	{Chat, Listener, never, nobody, false, nil},
	{React, Listener, never, nobody, false, nil},
	{VoiceActivity, never, Observer, present, false, nil},
}

// Decide is the rule: may this actor give this order about this target in this
// room? nil means yes; else the error is a *Refusal with the reason. target is
// nil for orders about the whole meeting, and where the one meant is not there.
func Decide(actor Person, o Order, target *Person, room Room) error {
	if reason := decide(actor, o, target, room); reason != "" {
		return &Refusal{Order: o, Reason: reason}
	}
	return nil
}

func decide(actor Person, o Order, target *Person, room Room) string {
	if err := o.Check(); err != nil {
		return err.Error()
	}
	r, _ := find(o.Action)
	c := situation{actor: actor, order: o, room: room}
	switch {
	case actor.Gone:
		return "You are no longer in the meeting."
	case actor.Waiting:
		return "You are in the lobby."
	}
	least := r.others
	if r.about != nobody && target != nil {
		c.target = *target
		c.self = actor.ID != "" && actor.ID == target.ID
		if c.self {
			least = r.self
		}
	}
	switch {
	case least == never && c.self:
		return "You cannot do this to yourself."
	case least == never:
		return "One can do this only for oneself."
	case actor.Role < least:
		return "Your role (" + actor.Role.String() + ") does not allow this."
	}
	if r.about == nobody {
		return refusedBy(r.unless, c)
	}
	if !o.On && (o.Action == Ban && o.Target != "" || o.Action == Pin) {
		return "" // lifting a ban needs only an identity, unpinning nobody
	}
	if target == nil {
		return "The participant is not in this meeting."
	}
	switch {
	case target.Gone && r.about != known:
		return "The participant has left."
	case target.Waiting && r.about == present:
		return "The participant is in the lobby."
	case !target.Waiting && r.about == waiting:
		return "The participant is not in the lobby."
	case r.rank && target.Role > actor.Role:
		return "You cannot do this to a " + target.Role.String() + "."
	}
	return refusedBy(r.unless, c)
}

func refusedBy(checks []check, c situation) string {
	for _, k := range checks {
		if reason := k.refuse(c); reason != "" {
			return reason
		}
	}
	return ""
}

func find(a Action) (rule, bool) {
	for _, r := range table {
		if r.action == a {
			return r, true
		}
	}
	return rule{}, false
}

// Known reports whether there is such an order.
func (a Action) Known() bool {
	_, ok := find(a)
	return ok
}
