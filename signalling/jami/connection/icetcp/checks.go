package icetcp

import (
	"time"

	"github.com/pion/stun"
)

// handle takes one frame of a connection under check and reports whether to
// read on.
func (s *session) handle(l *link, frame []byte) bool {
	m, err := decode(frame)
	if err != nil && l.peerNominated {
		// A peer that nominates with its first check may speak before it has
		// answered ours. Its word is good enough: put the data back.
		l.unread(frame)
		l.nominated, s.chosen = true, l
		return false
	}
	if err != nil {
		s.cfg.Refused(RefusedEarlyData)
		l.dead = true
		l.conn.Close()
		return false
	}
	switch m.Type {
	case stun.BindingRequest:
		s.handleRequest(l, m)
	case stun.BindingSuccess, stun.BindingError:
		s.handleAnswer(l, m)
	}
	if l.dead {
		l.conn.Close()
	}
	if l.nominated && s.chosen == nil {
		s.chosen = l
	}
	return !l.dead && !l.nominated
}

// handleRequest is RFC 5245 section 7.2.
func (s *session) handleRequest(l *link, m *stun.Message) {
	r, err := verifyRequest(m, s.local, s.remote)
	if err != nil {
		s.cfg.Refused(RefusedIntegrity)
		l.dead = true
		return
	}
	// Section 7.2.1.1: the greater tie-breaker stays or becomes controlling.
	if r.hasRole && r.controlling == s.controller {
		if s.controller == (s.tieBreaker >= r.tieBreaker) {
			if e, err := buildRoleConflict(m, s.local.Password); err == nil {
				s.write(l, e.Raw)
			}
			return
		}
		s.controller = !s.controller
	}
	ok, err := buildSuccess(m, addrPort(l.conn.RemoteAddr()), s.local.Password)
	if err != nil {
		l.dead = true
		return
	}
	s.write(l, ok.Raw)
	first := !l.peerChecked
	l.peerChecked = true
	if r.useCandidate && !s.controller {
		l.peerNominated = true
		l.nominated = l.checked
	}
	// Section 7.2.1.4: a triggered check, on the same connection. The peer
	// holds the pair invalid without it.
	if first && !l.asking && !l.checked {
		s.ask(l, false)
	}
}

// handleAnswer is RFC 5245 section 7.1.3.
func (s *session) handleAnswer(l *link, m *stun.Message) {
	if !l.asking || m.TransactionID != l.asked {
		return // to an older check, or to none
	}
	code, err := verifyResponse(m, s.remote)
	if err != nil {
		s.cfg.Refused(RefusedIntegrity)
		l.dead = true
		return
	}
	l.asking = false
	switch code {
	case 0:
	case int(stun.CodeRoleConflict):
		if s.controller == l.askedRole {
			s.controller = !s.controller
		}
		s.ask(l, false)
		return
	default:
		l.dead = true
		return
	}
	if !l.checked {
		l.checked, l.workingSince = true, time.Now()
	}
	switch {
	case s.controller && l.askedNominate && l.askedRole:
		l.nominated = true
	case !s.controller && l.peerNominated:
		l.nominated = true
	}
}
