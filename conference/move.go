package conference

import (
	"time"

	"rendezvous/moderation"
)

// move takes a member to another room. What he knew or was given for this room means nothing
// there: he comes in with the role that the other room gives his identity, waits if it has a
// lobby or a PIN, and stays here if he is banned there, or it is locked, full or closed.
func (r *Room) move(m *Member, o moderation.Order) error {
	to, err := r.host.Room(o.Text)
	if err != nil {
		return asRefusal(o, err)
	}
	if to == r {
		return refuse(o, "He is in this room.")
	}
	// The only place that holds two rooms' locks; the order of ids prevents a deadlock.
	first, second := r, to
	if to.id < r.id {
		first, second = to, r
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	second.mu.Lock()
	defer second.mu.Unlock()

	if r.byID[m.id] != m {
		return refuse(o, "The participant has left.")
	}
	c := m.caller
	c.PIN, c.Grant = "", nil
	if refusal := to.shut(c); refusal != nil {
		return refuse(o, "%s: %s", to.cfg.Title, refusal.Text)
	}
	now := time.Now()
	role, trusted := to.standing(c)
	if refusal := to.noPlace(role, now); refusal != nil {
		return refuse(o, "%s: %s", to.cfg.Title, refusal.Text)
	}

	r.detach(m)
	r.emitAbout(EventLeft, m, string(EndMoved))
	r.log.Info("participant out", "participant", m.id, "name", m.name, "reason", string(EndMoved), "to", to.id)
	r.gone(m)

	m.room.Store(to)
	m.caller = c
	m.name = to.uniqueName(m.name, nil)
	m.role, m.trusted, m.since = role, trusted, now
	m.held = role < moderation.Host && (to.removed.meant(c) || to.cfg.PIN != "" && !trusted)
	m.waiting = m.held || to.lobby && role < moderation.Moderator && !trusted
	m.muted = to.silenced.meant(c) && !to.selfUnmute && role < moderation.Moderator
	m.hideVideo, m.hideScreen, m.hand, m.floor, m.talking, m.order = false, false, time.Time{}, false, false, 0
	m.box.post(Notice{NoticeMoved, to.cfg.Title})
	to.attach(m, len(to.members))
	to.welcome(m, now)
	to.log.Info("participant in", "participant", m.id, "name", m.name, "from", r.id, "waiting", m.waiting)
	return nil
}
