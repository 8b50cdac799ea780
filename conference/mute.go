package conference

import (
	"time"

	"rendezvous/mixer"
	"rendezvous/moderation"
)

// mute carries out a Mute order about one member.
func (r *Room) mute(by actor, m *Member, o moderation.Order) {
	switch {
	case o.Media == "video":
		m.hideVideo = o.On
	case o.Media == "screen":
		m.hideScreen = o.On
	case by.member != m:
		r.setMuted(m, o.On)
	default:
		m.selfMuted = o.On
		if !o.On {
			r.setMuted(m, false)
		}
	}
}

// muteWhere mutes or unmutes those present who do not run the meeting.
func (r *Room) muteWhere(on bool, which func(*Member) bool) {
	for _, m := range r.members {
		if !m.waiting && !leads(m) && m.role != moderation.Observer && which(m) {
			r.setMuted(m, on)
		}
	}
}

// setMuted also remembers the identity, so that leaving and coming back does not unmute.
func (r *Room) setMuted(m *Member, on bool) {
	m.muted = on
	if on {
		r.silenced.add(m)
	} else {
		delete(r.silenced, m.caller.Identity)
	}
}

func (r *Room) setSelfMuted(m *Member, on bool) error {
	if r.byID[m.id] != m {
		return nil
	}
	m.selfMuted = on
	r.changed()
	var err error
	if !on && m.muted {
		o, now := moderation.Order{Action: moderation.Mute, Target: m.id}, time.Now()
		if !leads(m) && !m.pace.AllowN(now, 1) {
			return refuse(o, tooMuch)
		}
		p, entry := r.actor(actor{member: m})
		entry.Time, entry.Room, entry.Order, entry.Target, entry.TargetName = now, r.id, o, m.id, m.name
		entry.TargetIdentity = m.caller.Identity
		if err = moderation.Decide(p, o, &p, r.rules()); err == nil {
			r.setMuted(m, false)
		}
		r.record(entry, "", err)
	}
	r.settle()
	return err
}

// heard reports whether a member's sound may reach the others.
func (r *Room) heard(m *Member) bool {
	return moderation.Heard(m.person(), moderation.Room{Lecture: r.lecture})
}

// attributes is what the mixer must know of a member. Who says they have muted
// themselves is not heard either, whatever their device sends.
func (r *Room) attributes(m *Member) mixer.Attributes {
	return mixer.Attributes{
		Name:       m.name,
		Silenced:   m.selfMuted || m.hushed || !r.heard(m),
		SelfMuted:  m.selfMuted,
		Hand:       !m.hand.IsZero(),
		HideVideo:  m.hideVideo || m.hushed,
		HideScreen: m.hideScreen || m.hushed,
		Invisible:  m.role == moderation.Observer,
		Order:      m.order,
	}
}

// settle tells the mixer of every member whose attributes have changed, and
// those who are heard no longer, or again.
func (r *Room) settle() {
	for _, m := range r.members {
		if m.waiting {
			continue
		}
		if a := r.attributes(m); a != m.told {
			r.mix.Set(m.id, a)
			m.told = a
			m.talking = m.talking && !a.Silenced
		}
		if heard := r.heard(m); heard != m.heard {
			m.heard = heard
			if heard {
				m.box.post(Notice{Kind: NoticeUnmuted})
			} else {
				m.box.post(Notice{NoticeMuted, r.whyMuted(m)})
			}
		}
	}
}

func (r *Room) whyMuted(m *Member) string {
	switch {
	case m.muted:
		return "A moderator has muted you."
	case m.role == moderation.Observer:
		return "You are an observer."
	case m.role == moderation.Listener:
		return "You are a listener. Raise your hand to speak."
	default:
		return "Only those who have the floor are heard. Raise your hand to speak."
	}
}
