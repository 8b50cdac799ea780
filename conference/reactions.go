package conference

import (
	"time"

	"golang.org/x/time/rate"

	"rendezvous/moderation"
)

// Bounds of reactions: of a person, and of a room, where each is told to everybody.
const (
	reactionBurst      = 3
	reactionEvery      = time.Second
	roomReactionsBurst = 20
	roomReactions      = 10 // a second
)

// Reaction is a sign that somebody gives all who see the room's page, for a moment: it is kept nowhere.
type Reaction struct {
	From string // participant id, "" for somebody from outside
	Name string
	Text string // one of moderation.Reactions
}

func (Reaction) news() {}

func newReactionPace() *rate.Limiter {
	return rate.NewLimiter(rate.Every(reactionEvery), reactionBurst)
}

// react tells those present whose doors show reactions. Too many are refused, also from who runs the meeting: a room of a thousand
// would be told a million a second.
func (r *Room) react(by actor, name string, o moderation.Order, now time.Time) error {
	n := Reaction{Name: name, Text: o.Text}
	if m := by.member; m != nil {
		if !m.reactions.AllowN(now, 1) {
			return refuse(o, tooMuch)
		}
		n.From = m.id
	}
	if !r.reactions.AllowN(now, 1) {
		return refuse(o, tooMuch)
	}
	for _, m := range r.members {
		if !m.waiting && m.caller.SeesReactions {
			m.box.post(n)
		}
	}
	return nil
}
