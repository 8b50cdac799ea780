package conference

import (
	"time"

	"rendezvous/moderation"
)

const (
	// mediaGrace is how long somebody may be in a full room without any media before a newcomer takes their place.
	mediaGrace = 5 * time.Second
	// silentMost is how many from one network are given that grace at a time: a connection costs a stranger nothing.
	silentMost = 8
)

// Full reports whether a newcomer would find no place.
func (r *Room) Full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.limit > 0 && len(r.members) >= r.limit && r.silentOne(time.Now()) == nil
}

// Busy reports whether the host has too much to do to take in this newcomer, as far as who they are is known before they give a PIN.
func (r *Room) Busy(c Caller) bool {
	if !r.host.Busy() {
		return false
	}
	c.Identity = r.host.canonical(c.Identity)
	r.mu.Lock()
	defer r.mu.Unlock()
	role, _ := r.roleOf(c)
	return role < moderation.Moderator
}

// makeRoom takes somebody out of a full room for a newcomer. It reports whether there was one.
func (r *Room) makeRoom(now time.Time) bool {
	m := r.silentOne(now)
	if m == nil {
		return false
	}
	r.takeOut(m, EndTimeout)
	return true
}

// silentOne is somebody from whom no media has ever come, and whose place a newcomer gets: of those from a
// network that has too many of them, else of all, who came first; nil if there is nobody.
func (r *Room) silentOne(now time.Time) (oldest *Member) {
	silent := map[string]int{}
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
		return nil
	}
	return oldest
}
