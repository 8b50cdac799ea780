package leg

import (
	"slices"
	"time"
)

const (
	// Of a gap the newest so many packets are asked for: what is older would come too late to be heard.
	mostAsked = 8
	// A packet is asked for so often at most, each time after the time that an answer has taken lately and half of
	// it more, and until it is so old.
	askTimes = 3
	leastAsk = 30 * time.Millisecond
	askUntil = 160 * time.Millisecond

	// Where answers take longer than slowAnswer, or patience packets in a row did not come, asking is of no
	// use; whether it is by now is seen with one packet each probePause.
	slowAnswer = 150 * time.Millisecond
	patience   = 24
	probePause = 2 * time.Second
)

// missingSound is what has not come of one stream of sound. Unlike pictures, which wait, sound is of use for some tens of
// milliseconds only: so each packet that comes tells at once what is to be asked for, without a clock. It belongs to the
// stream's reader.
type missingSound struct {
	begun   bool
	ssrc    uint32
	highest uint16
	missing []missingPacket // in order of their numbers
	ask     []uint16        // scratch

	answer     time.Duration // smoothed; 0: not known
	unanswered int           // in a row
	probed     time.Time
}

type missingPacket struct {
	seq   uint16
	since time.Time
	asked time.Time
	times int
}

// arrived takes the SSRC and the number of a packet that has come, and how many before it it repeats (RFC 2198), and returns the numbers of
// those to ask for now, in order; they are the caller's until the next call.
func (m *missingSound) arrived(ssrc uint32, seq uint16, repeated int, now time.Time) []uint16 {
	step := int16(seq - m.highest)
	switch {
	case !m.begun || ssrc != m.ssrc || step > 3000 || step < -3000: // the limits of RFC 3550 appendix A.1: begun anew
		m.begun, m.ssrc, m.highest, m.missing = true, ssrc, seq, m.missing[:0]
		return nil
	case step > 0:
		for s := seq - uint16(min(int(step)-1, mostAsked)); s != seq; s++ {
			m.missing = append(m.missing, missingPacket{seq: s, since: now})
		}
		m.highest = seq
	}
	m.found(seq, now)
	for i := range min(repeated, mostAsked) {
		m.found(seq-1-uint16(i), now)
	}
	m.missing = slices.DeleteFunc(m.missing, func(p missingPacket) bool {
		old := now.Sub(p.since) > askUntil
		if old && p.times > 0 && m.unanswered < patience {
			m.unanswered++
		}
		return old
	})
	m.ask = m.ask[:0]
	for i := range m.missing {
		p := &m.missing[i]
		if p.times >= askTimes || p.times > 0 && now.Sub(p.asked) < max(leastAsk, m.answer*3/2) || !m.useful(now) {
			continue
		}
		p.times++
		p.asked = now
		m.ask = append(m.ask, p.seq)
	}
	return m.ask
}

// found takes a packet from the missing ones.
func (m *missingSound) found(seq uint16, now time.Time) {
	i := slices.IndexFunc(m.missing, func(p missingPacket) bool { return p.seq == seq })
	if i < 0 {
		return
	}
	if p := m.missing[i]; p.times == 1 && p.asked != now {
		took := now.Sub(p.asked)
		if m.answer == 0 {
			m.answer = took
		}
		m.answer += (took - m.answer) / 4
		m.unanswered = 0
	}
	m.missing = slices.Delete(m.missing, i, i+1)
}

// useful reports whether a packet is to be asked for now.
func (m *missingSound) useful(now time.Time) bool {
	if m.answer <= slowAnswer && m.unanswered < patience {
		return true
	}
	if now.Sub(m.probed) < probePause {
		return false
	}
	m.probed = now
	return true
}
