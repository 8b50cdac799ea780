package dht

import (
	"slices"
	"time"

	"rendezvous/dht/wire"
)

// remoteListener is another node's listen at a key of ours.
type remoteListener struct {
	slot    *slot
	peer    *peer
	sid     uint32
	query   *wire.Query
	renewed time.Time
}

const (
	// listenerLife is how long a listener is served after its last request.
	listenerLife = 10 * time.Minute
	// maxListensPerPeer bounds the listens of one node at one key.
	maxListensPerPeer = 16
)

// listen notes or renews a listener and calls update with what it should know at once. It reports false when there is
// no room.
func (s *store) listen(p *peer, m *wire.Message, now time.Time, update func(*remoteListener, *wire.Message, [][]byte)) bool {
	sl := s.at(m.Target, true)
	if sl == nil {
		return false
	}
	same := 0
	for _, l := range sl.listeners {
		if l.peer != p {
			continue
		}
		if l.sid == m.SocketID {
			l.renewed, l.query = now, m.Query.Clone()
			return true
		}
		same++
	}
	if s.listening >= s.limits.Listeners || len(sl.listeners) >= s.limits.ListenersPerKey || same >= maxListensPerPeer {
		s.drop(sl)
		return false
	}
	l := &remoteListener{slot: sl, peer: p, sid: m.SocketID, query: m.Query.Clone(), renewed: now}
	a := sl.watched()
	a.listeners = append(a.listeners, l)
	s.listeners[p] = append(s.listeners[p], l)
	s.listening++
	p.refs++
	if values := packedUpTo(s.matching(m.Target, m.Query), maxAnswerBytes); len(values) > 0 {
		update(l, &wire.Message{}, values)
	}
	return true
}

// unlisten forgets a listener.
func (s *store) unlisten(l *remoteListener) {
	a := l.slot.watched()
	a.listeners = slices.DeleteFunc(a.listeners, func(o *remoteListener) bool { return o == l })
	s.drop(l.slot)
	rest := slices.DeleteFunc(s.listeners[l.peer], func(o *remoteListener) bool { return o == l })
	if len(rest) == 0 {
		delete(s.listeners, l.peer)
	} else {
		s.listeners[l.peer] = rest
	}
	s.listening--
	l.peer.refs--
}

func (s *store) dropListenersOf(p *peer) {
	for _, l := range slices.Clone(s.listeners[p]) {
		s.unlisten(l)
	}
}

// expireListeners forgets those that were not renewed.
func (s *store) expireListeners(now time.Time) {
	for p := range s.listeners {
		for _, l := range slices.Clone(s.listeners[p]) {
			if now.Sub(l.renewed) > listenerLife {
				s.unlisten(l)
			}
		}
	}
}

// update tells a remote listener something. One that does not answer loses its listens (peerExpired).
func (e *engine) update(l *remoteListener, m *wire.Message, values [][]byte) {
	if len(l.peer.requests) >= maxRequestsPerPeer {
		e.store.unlisten(l) // it answers too slowly for what happens here
		return
	}
	m.Method = wire.Update
	m.SocketID = l.sid
	m.Token = e.tokens.issue(l.peer.addr)
	if len(values) > 0 {
		m.Version = 1
		m.Target = l.slot.key
	}
	e.ask(l.peer, m, values, handler{})
}

// changed tells everybody who listens at the slot, here and elsewhere.
func (e *engine) changed(sl *slot, ch change) {
	for _, op := range sl.local {
		op.changed(ch, e.now)
	}
	for _, l := range slices.Clone(sl.listeners) {
		if !matches(ch.value, l.query) {
			continue
		}
		m, values := &wire.Message{}, [][]byte(nil)
		switch ch.kind {
		case added:
			values = [][]byte{ch.value.packed}
			if age := e.now.Sub(ch.value.created()); age >= time.Second {
				m.Created = ch.value.created().Unix()
			}
		case refreshed:
			m.Refreshed = []uint64{ch.value.id}
		case expired:
			m.Expired = []uint64{ch.value.id}
		}
		e.update(l, m, values)
	}
}
