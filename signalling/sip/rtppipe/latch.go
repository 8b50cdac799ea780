package rtppipe

import (
	"net/netip"
	"time"
)

const (
	// probation is how many packets in sequence an unexpected source must send
	// before it is believed, as long as nothing proves who it is.
	probation = 4
	// silence is how long the believed source must be quiet before another port of its address may
	// take its place without proof (a NAT that has forgotten it).
	silence = 3 * time.Second
)

// latch decides whose packets are taken: the first source that proves itself, by
// SRTP authentication, by coming from where signalling said or came from, or by a
// run of consistent packets. From then on, only its address, SRTP authentication,
// signalling, or a packet from exactly where that has said, moves it: a phone is silent for minutes while its owner is muted, and must not lose its place
// to who sprays ports meanwhile. It is used by one goroutine.
type latch struct {
	expected netip.AddrPort // from the session description
	trusted  netip.Addr     // where the signalling comes from

	latched bool
	current netip.AddrPort
	last    time.Time

	candidate     netip.AddrPort
	candidateSSRC uint32
	candidateSeq  uint16
	candidateRun  int
}

// expect sets where packets should come from. A changed address opens the latch again, that of the signalling too:
// a phone behind NAT that changes networks tells us no more than that.
func (l *latch) expect(addr netip.AddrPort, trusted netip.Addr) {
	if addr != l.expected || trusted != l.trusted {
		l.latched = false
	}
	l.expected, l.trusted = addr, trusted
}

// admit reports whether a packet may be taken, and whether its source is newly believed.
func (l *latch) admit(from netip.AddrPort, ssrc uint32, seq uint16, authentic bool, now time.Time) (ok, moved bool) {
	if l.latched && from == l.current {
		l.last = now
		return true, false
	}
	// Signalling has named exactly this source. Another port of its host may be that of a call before, on a port of ours that is
	// this call's now: a trunk sends on for a moment when one of its calls has ended.
	if authentic || from == l.expected {
		return l.hold(from, now)
	}
	if l.latched {
		if from.Addr() == l.current.Addr() && now.Sub(l.last) >= silence {
			return l.hold(from, now)
		}
		return false, false
	}
	if l.familiar(from) || l.passed(from, ssrc, seq) {
		return l.hold(from, now)
	}
	return false, false
}

func (l *latch) familiar(from netip.AddrPort) bool {
	a := from.Addr()
	return a == l.expected.Addr() || a == l.trusted || (l.latched && a == l.current.Addr())
}

// passed counts a candidate's packets in sequence.
func (l *latch) passed(from netip.AddrPort, ssrc uint32, seq uint16) bool {
	if from == l.candidate && ssrc == l.candidateSSRC && seq == l.candidateSeq+1 {
		l.candidateRun++
	} else {
		l.candidate, l.candidateSSRC, l.candidateRun = from, ssrc, 1
	}
	l.candidateSeq = seq
	return l.candidateRun >= probation
}

func (l *latch) hold(from netip.AddrPort, now time.Time) (ok, moved bool) {
	l.latched, l.current, l.last = true, from, now
	l.candidateRun = 0
	return true, true
}
