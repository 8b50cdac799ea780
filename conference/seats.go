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

// makeRoom takes somebody out of a full room from whom no media has ever come, for a newcomer: of those from a
// network that has too many of them, else of all, who came first. It reports whether there was one.
func (r *Room) makeRoom(now time.Time) bool {
	silent := map[string]int{}
	var oldest *Member
	each := func(do func(m *Member, from string)) {
		for _, m := range r.members {
			if !m.leg.Heard() && m.role < moderation.Moderator {
				do(m, network(m.caller.Source))
			}
		}
	}
	most := ""
	each(func(_ *Member, from string) {
		if silent[from]++; silent[from] > silent[most] {
			most = from
		}
	})
	crowd := silent[most] > silentMost
	each(func(m *Member, from string) {
		if (!crowd || from == most) && (oldest == nil || m.since.Before(oldest.since)) {
			oldest = m
		}
	})
	if oldest == nil || !crowd && now.Sub(oldest.since) < mediaGrace {
		return false
	}
	r.takeOut(oldest, EndTimeout)
	return true
}
