package conference

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rendezvous/mixer"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
)

// Join asks for admission. On success the leg is in the room's mix or, where the
// room has a lobby, waits; ln, or who fetches the member's mail where ln is nil, hears which. A refusal is a *Refusal. The room takes the
// leg out of its mix when the member leaves; the door closes the leg after Ended.
//
// A caller with a proven identity who gives the session of a present member of
// that identity replaces them, and keeps their id, role, mutes and place.
func (r *Room) Join(ctx context.Context, c Caller, l *leg.Leg, ln Listener) (*Member, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("join room %s: %w", r.id, err)
	}
	c.Identity = r.host.canonical(c.Identity)
	m, err := r.join(c, l, ln, time.Now())
	if err != nil {
		r.host.cfg.Metrics.refused.WithLabelValues(string(err.Code)).Inc()
		r.log.Info("caller turned away", "door", c.Door, "identity", c.Identity, "proven", c.Proven, "reason", err.Code)
		return nil, err
	}
	r.host.cfg.Metrics.joins.WithLabelValues(c.Door).Inc()
	return m, nil
}

func (r *Room) join(c Caller, l *leg.Leg, ln Listener, now time.Time) (*Member, *Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.replaced(c)
	role, trusted, refusal := r.admission(c, old, now)
	if refusal != nil {
		return nil, refusal
	}
	m := &Member{
		host: r.host, id: newID("p"), caller: c, leg: l,
		box:        newMailbox(r.host.cfg.Metrics),
		role:       role,
		trusted:    trusted,
		connection: moderation.CleanName(c.Connection),
		joined:     now,
		since:      now,
		pace:       newPace(),
		reactions:  newReactionPace(),
	}
	m.room.Store(r)
	place := len(r.members)
	if old != nil {
		place = slices.Index(r.members, old)
		m.inherit(old)
		r.detach(old)
		old.box.end(EndReplaced)
	} else {
		m.name = r.uniqueName(callerName(c), nil)
		_, listed := r.cfg.Roles.Of(c.Identity) // a link may be in the hands of who was banned, too
		m.held = r.removed.meant(c) && role < moderation.Host || r.shunned.meant(c, role, listed && c.Proven)
		m.waiting = m.held || r.lobby && role < moderation.Moderator && !trusted
		m.muted = r.silenced.meant(c) && !r.selfUnmute && role < moderation.Moderator
	}
	if ln != nil {
		r.host.wg.Go(func() { m.box.deliver(ln) })
	}
	r.attach(m, place)
	if old == nil {
		r.welcome(m, now)
	}
	r.log.Info("participant in", "participant", m.id, "name", m.name, "door", c.Door, "role", m.role.String(),
		"identity", c.Identity, "proven", c.Proven, "session", c.Session, "waiting", m.waiting, "replaced", old != nil)
	return m, nil
}

// admission decides whether a caller may come in, and with which role. trusted: by
// a credential or a list, so they need not wait in the lobby.
func (r *Room) admission(c Caller, old *Member, now time.Time) (role moderation.Role, trusted bool, refusal *Refusal) {
	if refusal := r.shut(c); refusal != nil {
		return 0, false, refusal
	}
	if old != nil {
		return old.role, old.trusted, nil
	}
	role, trusted = r.roleOf(c)
	if c.PIN != "" {
		leader, refusal := r.checkPIN(c, now)
		if refusal != nil {
			return 0, false, refusal
		}
		if leader && !c.Observer {
			role = max(role, moderation.Moderator)
		}
	} else if r.cfg.PIN != "" && !trusted {
		return 0, false, &Refusal{RefusedPIN, "This room needs a PIN."}
	}
	refusal = r.noPlace(role, now)
	if refusal != nil && refusal.Code == RefusedFull && r.makeRoom(now) {
		refusal = r.noPlace(role, now)
	}
	if refusal != nil {
		return 0, false, refusal
	}
	if most := r.host.cfg.MaxParticipants; most > 0 && r.host.Participants() >= most {
		return 0, false, &Refusal{RefusedFull, "The host has no place left."}
	}
	if role < moderation.Moderator && r.host.Busy() {
		return 0, false, &Refusal{RefusedBusy, "The host has too much to do. Please try again in a few minutes."}
	}
	return role, trusted, nil
}

// shut refuses callers whatever they know or are given.
func (r *Room) shut(c Caller) *Refusal {
	if r.closed || r.host.draining.Load() {
		return &Refusal{RefusedDraining, "The host is about to stop. Please call again later."}
	}
	if b, banned := r.bans[c.Identity]; banned && b.meant(c) {
		return &Refusal{RefusedBanned, "You have been banned from this room."}
	}
	return nil
}

// noPlace refuses a caller of this role because of the room's state.
func (r *Room) noPlace(role moderation.Role, now time.Time) *Refusal {
	switch {
	case role < moderation.Moderator && !r.from.IsZero() && now.Before(r.from):
		return &Refusal{RefusedClosed, "The room opens at " + moment(r.from) + "."}
	case !r.until.IsZero() && !now.Before(r.until):
		return &Refusal{RefusedClosed, "The room was open until " + moment(r.until) + "."}
	case r.locked && role < moderation.Moderator:
		return &Refusal{RefusedLocked, "The room is locked."}
	case r.limit > 0 && len(r.members) >= r.limit:
		return &Refusal{RefusedFull, "The room is full."}
	}
	return nil
}

// moment is a point in time for people, in the zone that it was given in.
func moment(t time.Time) string { return t.Format("2006-01-02 15:04 MST") }

// roleOf finds a caller's role by their proven identity or their credential,
// whichever gives more. trusted: by either.
func (r *Room) roleOf(c Caller) (role moderation.Role, trusted bool) {
	role = r.cfg.Roles.Default
	if c.Proven {
		if listed, ok := r.cfg.Roles.Of(c.Identity); ok {
			role, trusted = listed, true
		}
		if c.Grant != nil && (!trusted || *c.Grant > role) {
			role, trusted = min(*c.Grant, moderation.Host), true
		}
	}
	if c.Observer {
		role = moderation.Observer
	}
	return role, trusted
}

// checkPIN reports whether the PIN is the moderators', or refuses a wrong one. Each of the two has its own budget of
// guesses: who guesses at the ordinary one does not keep the moderators out.
func (r *Room) checkPIN(c Caller, now time.Time) (leader bool, refusal *Refusal) {
	if r.cfg.PIN == "" && r.cfg.ModeratorPIN == "" {
		return false, nil
	}
	var keys []string
	if c.Source != "" {
		keys = append(keys, "source "+network(c.Source))
	}
	if c.Identity != "" {
		keys = append(keys, "identity "+c.Identity)
	}
	if wait := r.host.guard.wait(now, keys...); wait > 0 {
		return false, tooManyPINs(wait)
	}
	if area := neighbourhood(c.Source); area != "" {
		keys = append(keys, "area "+area)
	}
	spotless := r.host.guard.spotless(now, c.Source)
	var closed time.Duration
	var guessed []*pinBudget // that a wrong one counts in
	for _, pin := range []struct {
		want   string
		budget *pinBudget
		leader bool
	}{{r.cfg.ModeratorPIN, &r.leaderPINs, true}, {r.cfg.PIN, &r.pins, false}} {
		if pin.want == "" {
			continue
		}
		if wait := pin.budget.wait(now, spotless); wait > 0 {
			closed = max(closed, wait)
			continue
		}
		if samePIN(pin.want, c.PIN) {
			return pin.leader, nil
		}
		// A guess is at the PIN that is as long, else at the ordinary one.
		if len(c.PIN) == len(pin.want) || !pin.leader && len(c.PIN) != len(r.cfg.ModeratorPIN) || r.cfg.PIN == "" {
			guessed = append(guessed, pin.budget)
		}
	}
	for _, b := range guessed {
		b.count()
	}
	if len(guessed) > 0 {
		r.host.guard.wrong(now, keys...)
	}
	if closed > 0 { // it may be right
		return false, tooManyPINs(closed)
	}
	return false, &Refusal{RefusedPIN, "The PIN is wrong."}
}

func tooManyPINs(wait time.Duration) *Refusal {
	return &Refusal{RefusedPIN, fmt.Sprintf("Too many wrong PINs. Try again in %s.", waitText(wait))}
}

func waitText(d time.Duration) string {
	if d > 3*time.Hour {
		return fmt.Sprintf("%d hours", int((d+time.Hour-1)/time.Hour))
	}
	if d > 2*time.Minute {
		return fmt.Sprintf("%d minutes", int((d+time.Minute-1)/time.Minute))
	}
	return fmt.Sprintf("%d seconds", int((d+time.Second-1)/time.Second))
}

// replaced is the membership that a reconnecting caller takes over.
func (r *Room) replaced(c Caller) *Member {
	if !c.Proven || c.Identity == "" || c.Session == "" {
		return nil
	}
	for _, m := range r.members {
		if m.caller.Proven && m.caller.Identity == c.Identity && m.caller.Session == c.Session && m.caller.Door == c.Door {
			return m
		}
	}
	return nil
}

// inherit takes over what the room knows of an older membership.
func (m *Member) inherit(old *Member) {
	m.id, m.name, m.role, m.trusted, m.joined, m.since = old.id, old.name, old.role, old.trusted, old.joined, old.since
	m.waiting, m.held = old.waiting, old.held
	m.muted, m.hideVideo, m.hideScreen = old.muted, old.hideVideo, old.hideScreen
	m.hand, m.floor, m.order = old.hand, old.floor, old.order
	m.aware = old.aware && !old.hushed
}

// attach puts a member at their place in the room, or its lobby.
func (r *Room) attach(m *Member, place int) {
	r.members = slices.Insert(r.members, place, m)
	r.byID[m.id] = m
	r.host.present.Add(1)
	r.host.cfg.Metrics.participants.WithLabelValues(m.caller.Door).Inc()
	if r.stop == nil {
		r.stop = make(chan struct{})
		stop := r.stop
		r.wg.Go(func() { r.publisher(stop) })
	}
	if m.waiting {
		r.host.foyer.Add(m.id, m.leg, mixer.Attributes{Silenced: true, Invisible: true})
		m.box.post(Notice{Kind: NoticeLobby})
		r.tell(Notice{NoticeKnock, m.name}, leads)
	} else {
		r.enter(m)
	}
	r.changed()
}

// enter puts a member who is in the room into its mix.
func (r *Room) enter(m *Member) {
	recorded := r.beingRecorded()
	m.hushed = recorded && m.caller.ToldInside && !m.aware
	m.aware = recorded
	m.told, m.heard = r.attributes(m), r.heard(m)
	r.mix.Add(m.id, m.leg, m.told)
	m.box.post(Admitted{})
	if !m.heard && m.role != moderation.Observer {
		m.box.post(Notice{NoticeMuted, r.whyMuted(m)})
	}
	if recorded {
		m.box.post(Notice{Kind: NoticeRecordingStarted})
	}
}

// welcome does what the arrival of somebody new in the room means to the others.
func (r *Room) welcome(m *Member, now time.Time) {
	if m.waiting {
		r.emitAbout(EventWaiting, m, "")
		return
	}
	if r.began.IsZero() {
		r.emit(Event{Kind: EventMeetingBegan})
	}
	r.emitAbout(EventJoined, m, "")
	r.tell(Notice{NoticeEntered, m.name}, func(other *Member) bool { return other != m && !other.caller.SeesRoster })
	if r.began.IsZero() {
		r.began = now
		if r.recordsByItself() {
			r.startRecording("")
		}
	}
}

// admit lets a waiting member in.
func (r *Room) admit(m *Member, now time.Time) {
	r.host.foyer.Remove(m.id)
	m.waiting, m.held = false, false
	delete(r.removed, m.caller.Identity)
	r.enter(m)
	r.welcome(m, now)
}

// takeOut ends a membership.
func (r *Room) takeOut(m *Member, reason EndReason) {
	r.detach(m)
	m.box.end(reason)
	r.emitAbout(EventLeft, m, string(reason))
	r.log.Info("participant out", "participant", m.id, "name", m.name, "reason", string(reason))
	r.gone(m)
}

// detach takes a member out of the lists and the mix.
func (r *Room) detach(m *Member) {
	i := slices.Index(r.members, m)
	r.members = slices.Delete(r.members, i, i+1)
	delete(r.byID, m.id)
	for _, e := range r.repeats.end(m.id) {
		r.write(e)
	}
	r.host.present.Add(-1)
	r.host.cfg.Metrics.participants.WithLabelValues(m.caller.Door).Dec()
	if m.waiting {
		r.host.foyer.Remove(m.id)
	} else {
		r.mix.Remove(m.id)
	}
	r.changed()
}

// gone does what it means to a room that a member has left it.
func (r *Room) gone(m *Member) {
	if len(r.departed) >= departedLength {
		r.departed = slices.Delete(r.departed, 0, 1)
	}
	r.departed = append(r.departed, departed{m.id, m.name, m.caller.Identity, m.role, m.caller.Proven, m.caller.network()})
	if r.pinned.id == m.id {
		r.setPin(pin{})
	}
	if len(r.members) == 0 {
		r.endMeeting(EndMeeting)
		return
	}
	if !m.waiting {
		r.tell(Notice{NoticeLeft, m.name}, func(other *Member) bool { return !other.caller.SeesRoster })
		r.hostLeft(m)
	}
}

// callerName is how a newcomer is called.
func callerName(c Caller) string {
	name := moderation.CleanName(c.Name)
	if name == "" && c.Address != c.Door {
		name = moderation.CleanName(c.Address)
	}
	if name == "" {
		name = "Guest"
	}
	return name
}

// uniqueName numbers a name that somebody else in the room already has, so that
// people can tell them apart and chat commands know whom they mean.
func (r *Room) uniqueName(name string, self *Member) string {
	taken := func(s string) bool {
		return slices.ContainsFunc(r.members, func(m *Member) bool { return m != self && strings.EqualFold(m.name, s) })
	}
	if !taken(name) {
		return name
	}
	// A thousand of one name are not each compared with all the others: what is not here by this is looked at once more.
	fold := func(s string) string { return strings.ToLower(strings.ToUpper(s)) }
	here := make(map[string]bool, len(r.members))
	for _, m := range r.members {
		if m != self {
			here[fold(m.name)] = true
		}
	}
	runes := []rune(name)
	for n := 2; ; n++ {
		suffix := fmt.Sprintf(" (%d)", n)
		s := string(runes[:min(len(runes), 64-len(suffix))]) + suffix
		if !here[fold(s)] && !taken(s) {
			return s
		}
	}
}
