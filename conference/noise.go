package conference

import (
	"slices"
	"time"

	"rendezvous/conference/audit"
	"rendezvous/moderation"
)

const (
	silence    = 127 // -dBov
	voiceLevel = 70  // -dBov: fainter than that is not taken for speech
	noiseLevel = 50  // -dBov: sound that never falls below this is noise
	noiseSpan  = 40  // observations, one each infoInterval
	howlLevel  = 15  // -dBov: nobody speaks so loud…
	howlSpan   = 30  // …for so many observations without a pause
)

// noiseMeter tells noise from speech by its pauses: somebody who speaks falls
// silent between words and sentences, a fan, a street or a howling loop does not.
type noiseMeter struct {
	levels [noiseSpan]uint8
	n      int // observations so far
}

func (m *noiseMeter) add(level uint8) {
	m.levels[m.n%noiseSpan] = level
	m.n++
}

// noisy reports whether in the last seconds less than a tenth was quiet.
func (m *noiseMeter) noisy() bool {
	if m.n < noiseSpan {
		return false
	}
	sorted := m.levels
	slices.Sort(sorted[:])
	return sorted[noiseSpan*9/10] < noiseLevel
}

// howls reports whether for the last seconds there was nothing but loud sound: a
// loudspeaker that feeds its own microphone.
func (m *noiseMeter) howls() bool {
	if m.n < howlSpan {
		return false
	}
	for i := m.n - howlSpan; i < m.n; i++ {
		if m.levels[i%noiseSpan] >= howlLevel {
			return false
		}
	}
	return true
}

// muteHowling mutes somebody on the room's own account, and says so to him, to
// the moderators and to the audit log.
func (r *Room) muteHowling(m *Member) {
	r.setMuted(m, true)
	m.heard, m.told, m.talking = false, r.attributes(m), false
	r.mix.Set(m.id, m.told)
	m.noise = noiseMeter{}
	m.box.post(Notice{NoticeMuted, "Your sound was loud without a pause, as when a loudspeaker feeds its own microphone. The room has muted you."})
	r.tell(Notice{NoticeNoise, m.name}, func(other *Member) bool { return other != m && leads(other) })
	r.record(audit.Entry{
		Time: time.Now(), Room: r.id, Name: r.cfg.Title, Door: "room", Role: moderation.Host.String(),
		Target: m.id, TargetName: m.name, TargetIdentity: m.caller.Identity,
		Order: moderation.Order{Action: moderation.Mute, Target: m.id, On: true},
	}, "howling", nil)
	r.changed()
}
