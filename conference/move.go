package conference

import (
	"time"

	"rendezvous/moderation"
)

// move takes a member to another room. What they knew or were given for this room means nothing
// there: they come in with the role that the other room gives their identity, wait if it has a
// lobby, and stay here if they are banned there, or it is locked, full or closed. A room with a PIN takes only
// who is known there, unless who gives the order may let people in.
func (r *Room) move(by mover, m *Member, o moderation.Order) error {
	to, err := r.host.Room(o.Text)
	if err != nil {
		return asRefusal(o, err)
	}
	if to == r {
		return refuse(o, "They are in this room.")
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
	role, trusted := to.roleOf(c)
	if to.cfg.PIN != "" && !trusted && !to.leadBy(by) {
		return refuse(o, "%s: Only its moderators bring people in, as it has a PIN.", to.cfg.Title)
	}
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
	m.held = role < moderation.Host && (to.removed.meant(c) || to.cfg.PIN != "" && !trusted) || to.shunned.meant(c, role, trusted)
	m.waiting = m.held || to.lobby && role < moderation.Moderator && !trusted
	m.muted = to.silenced.meant(c) && !to.selfUnmute && role < moderation.Moderator
	m.aware, m.hushed = false, false
	m.hideVideo, m.hideScreen, m.hand, m.floor, m.talking, m.order = false, false, time.Time{}, false, false, 0
	m.box.post(Notice{NoticeMoved, to.cfg.Title})
	to.attach(m, len(to.members))
	to.welcome(m, now)
	to.log.Info("participant in", "participant", m.id, "name", m.name, "from", r.id, "waiting", m.waiting)
	return nil
}

// mover is who gives the order to move somebody, as other rooms may know them.
type mover struct {
	Caller
	elsewhere func(room string) bool
}

// mover is the actor as a mover. The lock of the room that they are in is held.
func (by actor) mover() mover {
	if by.member == nil {
		return mover{Caller{Identity: by.operator.Identity, Proven: true}, by.operator.Elsewhere}
	}
	c := by.member.caller
	c.PIN, c.Grant = "", nil
	return mover{Caller: c}
}

// leadBy tells whether a mover may let people into this room.
func (r *Room) leadBy(by mover) bool {
	if by.elsewhere != nil && by.elsewhere(r.id) {
		return true
	}
	role, _ := r.roleOf(by.Caller)
	return role >= moderation.Moderator && r.shut(by.Caller) == nil
}
