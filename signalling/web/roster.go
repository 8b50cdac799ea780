package web

import (
	"bytes"
	"encoding/json"
	"sync"

	"rendezvous/conference"
)

// A room of five hundred changes ten times a second; each page is told only what has
// changed since it was told last. Every participant is encoded once per change and
// every difference once, however many pages get it.

// snapshot is an Info in pieces that can be compared. It is never written after it is made.
type snapshot struct {
	info  *conference.Info
	leads bool              // made for who runs the meeting
	head  []byte            // everything but the participants
	ids   []string          // in order of arrival
	parts map[string][]byte // by id; a participant that has not changed keeps its slice
}

// infoMessage is a snapshot, or the difference to a former one.
type infoMessage struct {
	Type  string            `json:"type"`
	Whole bool              `json:"whole,omitempty"` // forget what was told before
	Head  json.RawMessage   `json:"head,omitempty"`
	Set   []json.RawMessage `json:"set,omitempty"`  // participants new or changed
	Gone  []string          `json:"gone,omitempty"` // ids
}

type infoHead struct {
	*conference.Info
	Participants any `json:"participants,omitempty"` // shadows Info's
	Count        int `json:"count"`
}

// rosters keeps each room's newest snapshot and the differences to it.
type rosters struct {
	mu    sync.Mutex
	rooms map[audience]*roster // guarded by mu
}

// audience are those in a room who are told the same: those who run the meeting are told callers' numbers too.
type audience struct {
	room  string
	leads bool
}

type roster struct {
	newest *snapshot
	diffs  map[*snapshot][]byte // encoded messages that lead to newest
}

func newRosters() *rosters { return &rosters{rooms: make(map[audience]*roster)} }

// update returns the message that brings a page from a former snapshot (nil: it knows
// nothing) to info, and info's snapshot; leads says for whom. The message is nil if nothing has changed.
func (rs *rosters) update(from *snapshot, info *conference.Info, leads bool) ([]byte, *snapshot) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if from != nil && (from.info.Room != info.Room || from.leads != leads) {
		from = nil // moved to another room, or to another role
	}
	to := audience{info.Room, leads}
	r := rs.rooms[to]
	if r == nil {
		r = &roster{}
		rs.rooms[to] = r
	}
	return r.update(from, info, leads)
}

func (r *roster) update(from *snapshot, info *conference.Info, leads bool) ([]byte, *snapshot) {
	to := r.newest
	switch {
	case to == nil || to.info.Serial < info.Serial || (to.info != info && to.info.Serial == info.Serial):
		to = newSnapshot(info, r.newest, leads)
		r.newest, r.diffs = to, make(map[*snapshot][]byte)
	case to.info.Serial > info.Serial && from == to:
		return nil, from // another page's goroutine was faster; this one has had it
	}
	if from == to {
		return nil, to
	}
	msg, ok := r.diffs[from]
	if !ok {
		msg = difference(from, to)
		r.diffs[from] = msg
	}
	return msg, to
}

// forget drops a room nobody is in any more.
func (rs *rosters) forget(room string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.rooms, audience{room, false})
	delete(rs.rooms, audience{room, true})
}

func newSnapshot(info *conference.Info, before *snapshot, leads bool) *snapshot {
	s := &snapshot{info: info, leads: leads, parts: make(map[string][]byte, len(info.Participants))}
	s.head = mustJSON(infoHead{Info: info, Count: len(info.Participants)})
	for i := range info.Participants {
		p := info.Participants[i]
		if !leads && p.Door == "sip" {
			p.Address = "" // a telephone number is not everybody's
		}
		part := mustJSON(p)
		if before != nil && bytes.Equal(before.parts[p.ID], part) {
			part = before.parts[p.ID]
		}
		s.ids = append(s.ids, p.ID)
		s.parts[p.ID] = part
	}
	return s
}

// difference encodes the message that leads from one snapshot to another.
func difference(from, to *snapshot) []byte {
	m := infoMessage{Type: "info", Whole: from == nil || !sameOrder(from, to), Head: to.head}
	for _, id := range to.ids {
		part := to.parts[id]
		if !m.Whole {
			if old, ok := from.parts[id]; ok && (&old[0] == &part[0] || bytes.Equal(old, part)) {
				continue
			}
		}
		m.Set = append(m.Set, part)
	}
	if !m.Whole {
		for _, id := range from.ids {
			if _, ok := to.parts[id]; !ok {
				m.Gone = append(m.Gone, id)
			}
		}
	}
	return mustJSON(m)
}

// sameOrder reports whether a page that removes who has gone and appends who is new
// ends up with the right order.
func sameOrder(from, to *snapshot) bool {
	i := 0
	for _, id := range from.ids {
		if _, ok := to.parts[id]; !ok {
			continue
		}
		if i >= len(to.ids) || to.ids[i] != id {
			return false
		}
		i++
	}
	return true
}

// mustJSON encodes values of our own types, none of which can fail to encode.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("web: " + err.Error())
	}
	return b
}
