package conference

import (
	"errors"
	"fmt"
	"time"

	"rendezvous/conference/audit"
	"rendezvous/moderation"
)

// actor is who gives an order: a member, or an operator from outside.
type actor struct {
	member   *Member
	operator Operator
}

// Order asks for something to be done on behalf of somebody who is not in the
// room. The error is a *moderation.Refusal when the rules forbid it.
func (r *Room) Order(by Operator, o moderation.Order) error {
	return r.order(actor{operator: by}, o)
}

// order carries out an order, and returns when the record of it is on the disk, and with whom it was told to.
func (r *Room) order(by actor, o moderation.Order) error {
	err := r.each(by, o)
	if unrecorded(o.Action) {
		return err
	}
	if audit := r.host.cfg.Audit; audit != nil {
		audit.Sync()
	}
	if kept := r.host.cfg.Kept; kept != nil {
		kept(r.id)
	}
	return err
}

// unrecorded reports what is no order in the sense of the audit: a caller's own voice detector, and what is over in a moment.
func unrecorded(a moderation.Action) bool {
	return a == moderation.VoiceActivity || a == moderation.React
}

// each carries out an order, for each of its targets by itself. A line of chat that is a
// command is the order it stands for.
func (r *Room) each(by actor, o moderation.Order) error {
	if o.Action == moderation.Chat && by.member != nil && moderation.IsCommand(o.Text) {
		return r.command(by, o.Text)
	}
	if len(o.Targets) == 0 || o.Action == moderation.OrderTiles || o.Check() != nil {
		return r.one(by, o)
	}
	var refused int
	var first error
	for _, target := range o.Targets {
		each := o
		each.Targets, each.Target = nil, target
		if err := r.one(by, each); err != nil {
			refused++
			if first == nil {
				first = err
			}
		}
	}
	if refused == 0 || len(o.Targets) == 1 {
		return first
	}
	return &moderation.Refusal{Order: o, Reason: fmt.Sprintf("Refused for %d of %d. %s", refused, len(o.Targets), first)}
}

// one decides an order about one target or the whole meeting, and carries it out.
func (r *Room) one(by actor, o moderation.Order) error {
	now := time.Now()
	if by.member != nil {
		r = by.member.lock() // they may have been moved
	} else {
		r.mu.Lock()
	}
	if m := by.member; m != nil && !leads(m) && !m.pace.AllowN(now, 1) {
		r.host.cfg.Metrics.orders.WithLabelValues("any", "too-many").Inc()
		r.mu.Unlock()
		return refuse(o, tooMuch)
	}
	actor, entry := r.actor(by)
	entry.Time, entry.Room, entry.Order = now, r.id, o
	if o.Action == moderation.Chat {
		entry.Order.Text = "" // what is said is not the audit's business
	}
	var after func() error
	var note string
	target, found := r.resolve(by, o, &entry)
	err := moderation.Decide(actor, o, target, r.rules())
	if err == nil {
		after, note, err = r.perform(by, entry.Name, o, found, now)
		r.settle()
		if !unseen(o.Action) {
			r.changed()
		}
	}
	if after == nil {
		r.record(entry, note, err)
		r.mu.Unlock()
		return err
	}
	r.mu.Unlock()
	err = after()
	r.mu.Lock()
	r.record(entry, note, err)
	r.mu.Unlock()
	return err
}

// unseen reports orders that change nothing an Info shows.
func unseen(a moderation.Action) bool {
	switch a {
	case moderation.Chat, moderation.Announce, moderation.Dial, moderation.VoiceActivity, moderation.React:
		return true
	}
	return false
}

// record counts an order and puts it into the audit log.
func (r *Room) record(e audit.Entry, note string, err error) {
	e.Result, e.Reason = audit.Done, note
	if err != nil {
		e.Result, e.Reason = audit.Refused, err.Error()
	}
	action := string(e.Order.Action)
	if !e.Order.Action.Known() {
		action = "unknown"
		e.Order = moderation.Order{Action: moderation.Action(clip(action, 40))}
	} else if e.Order.Check() != nil { // may be of any size
		e.Order = moderation.Order{Action: e.Order.Action}
	}
	r.host.cfg.Metrics.orders.WithLabelValues(action, string(e.Result)).Inc()
	if unrecorded(e.Order.Action) {
		return
	}
	e.Target = clip(e.Target, moderation.MaxID)
	for _, e := range r.repeats.merge(e) {
		r.write(e)
	}
}

// write puts an entry where it is kept and told.
func (r *Room) write(e audit.Entry) {
	r.orders.Add(e)
	r.emit(Event{Kind: EventOrder, Order: &e})
	if r.host.cfg.Audit != nil {
		r.host.cfg.Audit.Write(e)
	}
	r.log.Info("order", "action", string(e.Order.Action), "actor", e.Actor, "name", e.Name, "door", e.Door,
		"target", e.Target, "result", string(e.Result), "reason", e.Reason)
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// actor is the actor as the rules and the audit see them.
func (r *Room) actor(by actor) (moderation.Person, audit.Entry) {
	m := by.member
	if m == nil {
		o := by.operator
		return moderation.Person{Role: o.Role}, audit.Entry{Name: o.Name, Identity: o.Identity, Door: o.Door, Role: o.Role.String()}
	}
	p := m.person()
	p.Gone = r.byID[m.id] != m
	return p, audit.Entry{Actor: m.id, Name: m.name, Identity: m.caller.Identity, Door: m.caller.Door, Role: m.role.String()}
}

// rules is the room as the rules see it.
func (r *Room) rules() moderation.Room {
	recording := r.recording
	if r.run != nil && recording == moderation.RecordingOff {
		recording = moderation.RecordingOn // about to begin
	}
	policy := r.cfg.Recording
	if r.host.cfg.Recorder == nil {
		policy = moderation.RecordNever
	}
	return moderation.Room{
		Lecture: r.lecture, SelfUnmute: r.selfUnmute, Moderators: r.count(moderation.Moderator),
		Recording: recording, Policy: policy, Dial: r.cfg.Dial,
	}
}

// found is whom an order is about: a member, or an identity that is not here.
type found struct {
	member         *Member
	identity, name string
	proven         bool   // the identity
	network        string // of a disposable one, if it is known
}

// resolve finds the target of an order. A missing one is for the rules to refuse.
func (r *Room) resolve(by actor, o moderation.Order, e *audit.Entry) (*moderation.Person, found) {
	var f found
	var p moderation.Person
	id := o.Target
	if id == "" && by.member != nil {
		id = by.member.id
	}
	switch m := r.byID[id]; {
	case m != nil:
		f, p = found{m, m.caller.Identity, m.name, m.caller.Proven, m.caller.network()}, m.person()
	case id == "":
		return nil, f
	default:
		e.Target = id
		d, ok := r.absent(id, o)
		if !ok {
			return nil, found{identity: id}
		}
		f, p = found{identity: d.identity, name: d.name, proven: d.proven, network: d.network}, moderation.Person{ID: d.id, Role: d.role, Gone: true}
	}
	if o.Target != "" {
		e.Target, e.TargetName, e.TargetIdentity = id, f.name, f.identity
	}
	if o.Action == moderation.Ban && !o.On {
		return nil, f // whoever has the identity now
	}
	if o.Action == moderation.Ban && f.identity != "" {
		p = r.identityAsPerson(by, p, f)
	}
	return &p, f
}

// absent finds somebody who has left; for a ban also an identity that nobody here had.
func (r *Room) absent(id string, o moderation.Order) (departed, bool) {
	for _, d := range r.departed {
		if d.id == id {
			return d, true
		}
	}
	if o.Action != moderation.Ban {
		return departed{}, false
	}
	id = r.host.canonical(id)
	for _, m := range r.members {
		if m.caller.Identity == id {
			return departed{m.id, m.name, id, m.role, true, m.caller.network()}, true
		}
	}
	if b, ok := r.bans[id]; ok {
		return departed{name: b.Name, identity: id, proven: true}, true
	}
	if role, listed := r.cfg.Roles.Of(id); listed {
		return departed{identity: id, role: role, proven: true}, true
	}
	return departed{identity: id, proven: true}, o.On && identityLike(id)
}

// identityAsPerson widens the target of a ban to all whom it would put out: present
// through several doors, or listed with a role. Who bans their own identity bans themselves.
func (r *Room) identityAsPerson(by actor, p moderation.Person, f found) moderation.Person {
	ban := Ban{Identity: f.identity, Proven: f.proven}
	if f.proven {
		role, _ := r.cfg.Roles.Of(f.identity)
		p.Role = max(p.Role, role)
	}
	for _, m := range r.members {
		if ban.meant(m.caller) {
			p.Role = max(p.Role, m.role)
		}
	}
	if by.member != nil && ban.meant(by.member.caller) {
		p.ID = by.member.id
	}
	return p
}

// identityLike reports whether s has the form of an identity, so that a ban of a
// mistyped participant id is refused.
func identityLike(s string) bool {
	for i, c := range s {
		if c == ':' {
			return i > 0 && i < len(s)-1
		}
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return false
}

// refuse makes a refusal for reasons that only the room knows.
func refuse(o moderation.Order, format string, args ...any) error {
	return &moderation.Refusal{Order: o, Reason: fmt.Sprintf(format, args...)}
}

// asRefusal turns what a dialer or another room said into words for the person.
func asRefusal(o moderation.Order, err error) error {
	var r *moderation.Refusal
	if err == nil || errors.As(err, &r) {
		return err
	}
	return refuse(o, "%s", err)
}
