package conference

import (
	"time"

	"rendezvous/conference/audit"
	"rendezvous/conference/settings"
	"rendezvous/mixer/audio"
	"rendezvous/moderation"
)

// echoPause is how long after a word about an echo there is no further one about the same person.
const echoPause = 2 * time.Minute

// howlEchoes is how long after somebody's howling was ended it may still be heard from those whose microphones repeat the meeting.
const howlEchoes = 2 * time.Second

// processing is what the room wants done with the sound.
func processing(c settings.Room) audio.Processing {
	return audio.Processing{Ungated: !c.NoiseGate, Howling: c.MuteHowling, Echo: c.Echo != settings.EchoOff}
}

// seeTo sees to what is wrong with a member's sound; it reports whether the room has muted them for it.
func (r *Room) seeTo(m *Member, t audio.Fault, now time.Time) bool {
	switch {
	case t.Howling && r.cfg.MuteHowling && t.Echo > 0 && !r.howled.IsZero() && now.Sub(r.howled) < t.Echo+howlEchoes:
		// What they repeat is what somebody else was muted for.
	case t.Howling && r.cfg.MuteHowling:
		r.howled = now
		r.muteFor(m, "howling", "Your loudspeaker feeds your microphone, and it howls. The room has muted you.",
			m.name+" howls (loudspeaker into microphone). The room has muted them.")
		return true
	case t.Echo == 0 || r.cfg.Echo == settings.EchoOff:
	case r.cfg.Echo == settings.EchoMute:
		r.muteFor(m, "echo", "Your microphone repeats the meeting. The room has muted you. Use headphones, or turn your loudspeaker down.",
			m.name+"'s microphone repeats the meeting (loudspeaker echo). The room has muted them.")
		return true
	case now.Sub(m.warned) >= echoPause:
		m.warned = now
		r.log.Info("a microphone repeats the meeting", "participant", m.id, "name", m.name, "late", t.Echo)
		m.box.post(Notice{NoticeNoise, "Your microphone repeats the meeting: the others hear themselves. Use headphones, or turn your loudspeaker down."})
		r.tellModerators(m, m.name+"'s microphone repeats the meeting (loudspeaker echo).")
	}
	return false
}

// muteFor mutes somebody on the room's own account, and says so to them, to the moderators and
// to the audit log.
func (r *Room) muteFor(m *Member, reason, toThem, toModerators string) {
	r.setMuted(m, true)
	m.heard, m.told, m.talking = false, r.attributes(m), false
	r.mix.Set(m.id, m.told)
	m.noise = noiseMeter{}
	m.box.post(Notice{NoticeMuted, toThem})
	r.tellModerators(m, toModerators)
	r.record(audit.Entry{
		Time: time.Now(), Room: r.id, Name: r.cfg.Title, Door: "room", Role: moderation.Host.String(),
		Target: m.id, TargetName: m.name, TargetIdentity: m.caller.Identity,
		Order: moderation.Order{Action: moderation.Mute, Target: m.id, On: true},
	}, reason, nil)
	r.changed()
}

// tellModerators tells all moderators but the one it is about.
func (r *Room) tellModerators(about *Member, text string) {
	r.tell(Notice{NoticeNoise, text}, func(other *Member) bool { return other != about && leads(other) })
}
