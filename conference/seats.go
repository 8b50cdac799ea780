package conference

import (
	"time"

	"rendezvous/moderation"
)

const (
	// mediaGrace is how long somebody may be in a full room without any media before a newcomer takes their seat.
	mediaGrace = 5 * time.Second
	// silentMost is how many from one network are given that grace at a time: a connection costs a stranger nothing.
	silentMost = 8
)

// makeRoom takes somebody out of a full room from whom no media has ever come, for a newcomer: of those from the
// network that has the most of them, who came first. It reports whether there was one.
func (r *Room) makeRoom(now time.Time) bool {
	silent := map[string][]*Member{}
	for _, m := range r.members {
		if !m.leg.Heard() && m.role < moderation.Moderator {
			n := network(m.caller.Source)
			silent[n] = append(silent[n], m)
		}
	}
	var most []*Member
	for _, of := range silent {
		if len(of) > len(most) {
			most = of
		}
	}
	var first *Member
	for _, m := range most {
		if first == nil || m.since.Before(first.since) {
			first = m
		}
	}
	if first == nil || len(most) <= silentMost && now.Sub(first.since) < mediaGrace {
		return false
	}
	r.takeOut(first, EndTimeout)
	return true
}
