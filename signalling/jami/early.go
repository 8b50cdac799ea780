package jami

import (
	"sync"
	"time"

	"rendezvous/conference"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/roomlog"
)

// Bounds of what is held for rooms whose logs have not begun.
const (
	maxEarly  = 256             // events of a room; of more the oldest go
	earlyWait = 2 * time.Second // who speaks in a room does not wait longer for its log, as for a disk that hangs
)

// early holds what happens in rooms while their accounts are being opened: the other doors are open before, and what is said there is
// answered when it is on the disk. It is told to the rooms' logs when they have begun.
type early struct {
	mu    sync.Mutex // guards rooms, and that what is held is told before what comes then
	rooms map[string]*earlyRoom
}

type earlyRoom struct {
	events []conference.Event
	told   bool          // to the log, which has what comes now
	over   chan struct{} // closed when the account is open, or cannot be opened
}

// hold begins with the rooms that have an account, and are to have a conversation.
func (d *Door) hold() {
	d.early.rooms = make(map[string]*earlyRoom)
	if d.cfg.Conversation == nil {
		return
	}
	for _, r := range d.cfg.Host.Rooms() {
		if _, ok := d.cfg.Conversation(r.ID()); ok && !account.IsNew(d.dir(r.ID())) {
			d.early.rooms[r.ID()] = &earlyRoom{over: make(chan struct{})}
		}
	}
}

// take holds an event, and reports whether its room's log is told of it later.
func (e *early) take(ev conference.Event) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.rooms[ev.Room]
	if r == nil || r.told {
		return false
	}
	if len(r.events) == maxEarly {
		r.events = r.events[1:]
	}
	r.events = append(r.events, ev)
	return true
}

// tell gives a log what was held for it; from now on it is told what happens.
func (d *Door) tell(room string, m *roomlog.Log) {
	d.early.mu.Lock()
	defer d.early.mu.Unlock()
	if r := d.early.rooms[room]; r != nil {
		for _, ev := range r.events {
			m.Event(ev)
		}
		r.events, r.told = nil, true
	}
	d.books.Store(room, m)
}

// endAll is end for all rooms: those that are left were deleted meanwhile.
func (e *early) endAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.rooms {
		close(r.over)
	}
	clear(e.rooms)
}

// end says that a room's log has begun, or does not begin now.
func (e *early) end(room string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.rooms[room]; r != nil {
		close(r.over)
		delete(e.rooms, room)
	}
}

// wait returns when a room's log has begun, or need not be waited for.
func (e *early) wait(room string) {
	e.mu.Lock()
	r := e.rooms[room]
	e.mu.Unlock()
	if r == nil {
		return
	}
	late := time.NewTimer(earlyWait)
	defer late.Stop()
	select {
	case <-r.over:
	case <-late.C:
	}
}
