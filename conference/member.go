package conference

import (
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"rendezvous/mixer"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
)

// Member is a participant's handle for their door.
type Member struct {
	host   *Host
	id     string
	caller Caller // Identity is the canonical one
	leg    *leg.Leg
	box    *mailbox

	room atomic.Pointer[Room] // changed only under the locks of both rooms

	// Guarded by the mu of the room they are in.
	name       string
	connection string
	role       moderation.Role
	trusted    bool // came by PIN-less right: listed or with a credential
	joined     time.Time
	waiting    bool
	held       bool // waits because they were removed before, not because of the lobby
	since      time.Time
	muted      bool // by a moderator
	selfMuted  bool
	hideVideo  bool
	hideScreen bool
	hand       time.Time
	floor      bool
	recording  bool
	voice      bool // their own detector says they talk
	talking    bool
	screen     bool // has shown a screen
	order      int
	aware      bool             // has been told of the recording that is being made
	hushed     bool             // not heard nor seen before they have been told of it
	heard      bool             // may be: not muted, and has the floor where that is needed
	told       mixer.Attributes // as the mixer knows them
	pace       *rate.Limiter    // of their orders
	reactions  *rate.Limiter    // of their reactions, besides
	noise      noiseMeter
	network    networkMeter
	warned     time.Time // of their echo
}

// ID is the participant's id in Info.
func (m *Member) ID() string { return m.id }

// Room is where they are. A moderator may move them.
func (m *Member) Room() *Room { return m.room.Load() }

// Role is where the participant is, their role there, and whether they are in the room: not in its lobby, and
// not out. What a door shows of a room, it shows by this: a moderator may move somebody into another lobby.
func (m *Member) Role() (room *Room, role moderation.Role, in bool) {
	r := m.lock()
	defer r.mu.Unlock()
	return r, m.role, r.byID[m.id] == m && !m.waiting
}

// View is the room as the participant may see it now, and the newest lines of its chat, oldest first: in
// the lobby they see themselves alone, and no chat. A room of more than a hundred is seen as all have been told of it last, so that
// it costs little that many come; what is newer, the participant perhaps, comes with the next Info. info is nil for who is out.
func (m *Member) View() (info *Info, chat []Message) {
	r := m.lock()
	defer r.mu.Unlock()
	i := slices.Index(r.members, m)
	switch {
	case i < 0:
		return nil, nil
	case m.waiting:
		return lobbyInfo(r.snapshot(), i), nil
	case len(r.members) > infoCrowd && r.published != nil:
		return r.published, slices.Clone(r.history)
	}
	return r.snapshot(), slices.Clone(r.history)
}

// Order asks for something to be done on the participant's behalf. The error is a
// *moderation.Refusal when the rules forbid it.
func (m *Member) Order(o moderation.Order) error {
	return m.Room().order(actor{member: m}, o)
}

// SetSelfMuted tells that the participant has muted or unmuted their own microphone.
// Unmuting counts as the wish to be heard: it also lifts a moderator's mute where the
// room lets people unmute themselves; where not, the error is a *moderation.Refusal.
// Doors call it when their caller does something, not to repeat a state.
func (m *Member) SetSelfMuted(on bool) error {
	r := m.lock()
	defer r.mu.Unlock()
	return r.setSelfMuted(m, on)
}

// SetRecording tells that the participant records on their own side.
func (m *Member) SetRecording(on bool) {
	m.change(func() { m.recording = on })
}

// SetConnection changes the text that says how they are connected.
func (m *Member) SetConnection(text string) {
	m.change(func() { m.connection = moderation.CleanName(text) })
}

// lock locks the room they are in.
func (m *Member) lock() *Room {
	for {
		r := m.Room()
		r.mu.Lock()
		if m.Room() == r {
			return r
		}
		r.mu.Unlock() // they have been moved meanwhile
	}
}

// change does f under the lock of the room they are in, if they still are.
func (m *Member) change(f func()) {
	r := m.lock()
	defer r.mu.Unlock()
	if r.byID[m.id] == m {
		f()
		r.changed()
	}
}

// Leave takes the participant out; ln.Ended follows. It is safe to call twice.
func (m *Member) Leave(reason EndReason) {
	r := m.lock()
	defer r.mu.Unlock()
	if r.byID[m.id] == m {
		r.takeOut(m, reason)
	}
}

// person is the member as the rules see them.
func (m *Member) person() moderation.Person {
	return moderation.Person{ID: m.id, Role: m.role, Waiting: m.waiting, Muted: m.muted, Floor: m.floor}
}
