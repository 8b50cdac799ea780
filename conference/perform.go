package conference

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"rendezvous/mixer/video"
	"rendezvous/moderation"
)

// perform carries out an order that the rules allow. after, if not nil, is the part
// that must not be done under the room's lock; note is for the audit log.
func (r *Room) perform(by actor, name string, o moderation.Order, target found, now time.Time) (after func() error, note string, err error) {
	m := target.member
	switch o.Action {
	case moderation.Mute:
		r.mute(by, m, o)
	case moderation.MuteAll:
		r.muteWhere(o.On, everybody)
	case moderation.MuteOthers:
		r.muteWhere(o.On, func(m *Member) bool { return !m.talking })
	case moderation.MuteNoisy:
		r.muteWhere(true, func(m *Member) bool { return !m.told.Silenced && m.noise.noisy() })
	case moderation.SelfUnmute:
		r.selfUnmute = o.On

	case moderation.Remove:
		if o.Text != "" {
			m.box.post(Notice{NoticeEnding, o.Text})
		}
		r.removed.add(m)
		r.takeOut(m, EndRemoved)
	case moderation.Ban:
		return r.ban(o, target, name, now)

	case moderation.Lock:
		r.locked = o.On
	case moderation.Lobby:
		r.lobby = o.On
		if !o.On {
			r.admitWhere(now, func(m *Member) bool { return !m.held })
		}
	case moderation.Admit:
		r.admit(m, now)
	case moderation.AdmitAll:
		r.admitWhere(now, everybody)
	case moderation.Deny:
		r.takeOut(m, EndDenied)

	case moderation.Hand:
		r.raise(m, o.On, now)
	case moderation.Floor:
		m.floor = o.On
		if o.On { // the floor is there to be heard
			m.hand = time.Time{}
			r.setMuted(m, false)
		}
	case moderation.Lecture:
		r.lecture = o.On

	case moderation.Pin:
		switch {
		case !o.On:
			r.setPin(pin{})
		case o.Media == "screen":
			r.setPin(pin{m.id, labelScreen})
		default:
			r.setPin(pin{m.id, labelMain})
		}
	case moderation.SetLayout:
		r.layout = moderation.Layout(o.Text) // Decide has read it
		r.mix.SetLayout(canvasLayouts[r.layout])
		if r.layout == moderation.LayoutGrid || r.layout == moderation.LayoutAuto {
			r.setPin(pin{}) // the one has no big tile, the other finds its own
		}
	case moderation.HideNonVideo:
		r.hideNonVideo = o.On
		r.mix.SetHideNonVideo(o.On)
	case moderation.OrderTiles:
		r.orderTiles(o.Targets)

	case moderation.Rename:
		m.name = r.uniqueName(moderation.CleanName(o.Text), m)
	case moderation.SetRole:
		role, _ := moderation.ParseRole(o.Text) // Decide has read it
		r.setRole(m, role, now)
	case moderation.Record:
		return nil, "", r.orderRecording(o, name)
	case moderation.Announce:
		r.announce(o.Text)
	case moderation.Chat:
		r.say(by, name, o.Text, now)
	case moderation.React:
		return nil, "", r.react(by, name, o, now)
	case moderation.Limits:
		return nil, "", r.setLimits(o, now)
	case moderation.EndWithHost:
		r.endWithHost = o.On
		r.hostless = time.Time{}
	case moderation.End:
		r.endMeeting(EndMeeting)

	case moderation.Dial:
		after, err = r.dial(by, o)
		return after, "", err
	case moderation.Move:
		who := by.mover()
		return func() error { return r.move(who, m, o) }, "", nil
	case moderation.VoiceActivity:
		m.voice = o.On
	}
	return nil, "", nil
}

// canvasLayouts are the layouts as the mixer has them.
var canvasLayouts = map[moderation.Layout]video.Layout{
	moderation.LayoutAuto:            video.Auto,
	moderation.LayoutGrid:            video.Grid,
	moderation.LayoutOneBig:          video.OneBig,
	moderation.LayoutOneBigWithSmall: video.OneBigWithSmall,
	moderation.LayoutSideBySide:      video.SideBySide,
}

// ban keeps an identity out, or lets it in again, and puts out whoever has it.
func (r *Room) ban(o moderation.Order, target found, by string, now time.Time) (after func() error, note string, err error) {
	identity := target.identity
	if !o.On {
		b, ok := r.bans[r.host.canonical(identity)]
		if !ok {
			return nil, "", refuse(o, "There is no such ban.")
		}
		delete(r.bans, b.Identity)
		delete(r.removed, b.Identity)
		r.shunned.lift(b.Identity)
		return r.keepUnban(o, b), "", nil
	}
	if identity == "" {
		if target.member == nil {
			return nil, "", refuse(o, "They had no identity by which they could be kept out.")
		}
		r.takeOut(target.member, EndBanned)
		return nil, "removed only: the caller has no identity", nil
	}
	if len(r.bans) >= rememberedMost {
		return nil, "", refuse(o, "There are too many bans.")
	}
	b := Ban{Room: r.id, Identity: identity, Proven: target.proven, Name: target.name, By: by, Time: now, Forever: o.Text == "forever"}
	if old, again := r.bans[identity]; again {
		b.Forever = b.Forever || old.Forever
		b.Proven = b.Proven || old.Proven
	}
	r.bans[identity] = b
	r.shunned.add(identity, target.network)
	for _, m := range slices.Clone(r.members) {
		if b.meant(m.caller) {
			r.takeOut(m, EndBanned)
		}
	}
	return r.keepBan(o, b), "", nil
}

// keepBan saves a ban for good. One that cannot be saved holds all the same, and who ordered it is told for how long.
func (r *Room) keepBan(o moderation.Order, b Ban) func() error {
	if !b.Forever {
		return nil
	}
	return func() error {
		if err := r.host.keepBans(); err != nil {
			r.log.Error("a ban for good is not saved", "identity", b.Identity, "error", err)
			return refuse(o, "%s is kept out, but only until the host is started again: the ban could not be saved (%s).", cmp.Or(b.Name, b.Identity), reason(err))
		}
		return nil
	}
}

// keepUnban saves that a ban is lifted. If that fails it is not lifted: after the next start it would hold again.
func (r *Room) keepUnban(o moderation.Order, b Ban) func() error {
	if !b.Forever {
		return nil
	}
	return func() error {
		err := r.host.keepBans()
		if err == nil {
			return nil
		}
		r.log.Error("that a ban is lifted is not saved", "identity", b.Identity, "error", err)
		r.mu.Lock()
		if _, again := r.bans[b.Identity]; !again {
			r.bans[b.Identity] = b
		}
		r.mu.Unlock()
		return refuse(o, "The ban is as before: that it is lifted could not be saved (%s).", reason(err))
	}
}

// reason is what the system says is wrong, without what was being done: no path of ours is a person's business.
func reason(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// lasting are the bans for good.
func (r *Room) lasting() []Ban {
	return slices.DeleteFunc(r.Bans(), func(b Ban) bool { return !b.Forever })
}

func (r *Room) admitWhere(now time.Time, which func(*Member) bool) {
	for _, m := range slices.Clone(r.members) {
		if m.waiting && which(m) {
			r.admit(m, now)
		}
	}
}

func (r *Room) raise(m *Member, up bool, now time.Time) {
	switch {
	case !up:
		m.hand = time.Time{}
	case m.hand.IsZero():
		m.hand = now
		r.tell(Notice{NoticeHand, m.name}, leads)
	}
}

func (r *Room) setPin(p pin) {
	r.pinned = p
	r.mix.SetPinned(p.id, p.label)
}

// orderTiles puts those named first, in that order; the others follow by arrival.
func (r *Room) orderTiles(ids []string) {
	for _, m := range r.members {
		m.order = slices.Index(ids, m.id)
		if m.order < 0 {
			m.order = len(ids)
		}
	}
}

func (r *Room) setRole(m *Member, role moderation.Role, now time.Time) {
	m.role = role
	if role == moderation.Observer {
		m.floor, m.hand = false, time.Time{}
	}
	if m.waiting && role >= moderation.Moderator {
		r.admit(m, now)
	}
}

// say puts a line into the chat, and tells of it which door it came through.
func (r *Room) say(by actor, name, text string, now time.Time) {
	msg := Message{ID: newID("m"), Name: name, Text: strings.TrimSpace(text), Time: now}
	e := Event{Kind: EventChat, Name: name, Identity: by.operator.Identity, Door: by.operator.Door}
	if m := by.member; m != nil {
		msg.From = m.id
		e.Participant, e.Identity, e.Door = m.id, m.caller.Identity, m.caller.Door
		if strings.HasPrefix(msg.Text, "//") {
			msg.Text = msg.Text[1:] // an ordinary line that begins with a slash
		}
	}
	r.chat(msg)
	e.Message = &msg
	r.emit(e)
}

// chat keeps a line and gives it to all present.
func (r *Room) chat(msg Message) {
	if len(r.history) >= historyLength {
		r.history = slices.Delete(r.history, 0, 1)
	}
	r.history = append(r.history, msg)
	for _, m := range r.members {
		if !m.waiting {
			m.box.post(msg)
		}
	}
}

func (r *Room) setLimits(o moderation.Order, now time.Time) error {
	l, _ := moderation.ParseLimit(o.Text) // Decide has read it
	if l.HasDuration && l.Duration > 0 && !r.began.IsZero() && now.Sub(r.began) >= l.Duration {
		return refuse(o, "The meeting has lasted longer than that already.")
	}
	if l.HasWindow && !l.Until.IsZero() && !l.Until.After(now) {
		return refuse(o, "That time has passed.")
	}
	if l.HasDuration {
		r.duration, r.warned = l.Duration, 0
	}
	if l.HasWindow {
		r.from, r.until, r.warned = l.From, l.Until, 0
	}
	if o.N > 0 {
		r.limit = o.N
	}
	return nil
}
