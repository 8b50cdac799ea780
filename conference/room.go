package conference

import (
	"context"

	"rendezvous/mixer/leg"
	"rendezvous/moderation"
)

// Host keeps all rooms of this program.
type Host struct{}

// Room returns a room by id, or a *Refusal with RefusedNoRoom.
func (h *Host) Room(id string) (*Room, error) { return nil, nil }

// Rooms returns all rooms, sorted by id.
func (h *Host) Rooms() []*Room { return nil }

// Foyer lets a caller hear what is played to him (leg.Play) before he is in any
// room. The returned function takes him out again and must be called before Join.
func (h *Host) Foyer(l *leg.Leg) (leave func()) { return func() {} }

// Room is a permanent meeting place.
type Room struct{}

// ID is the room's id, as in the config: [a-z0-9-]+.
func (r *Room) ID() string { return "" }

// Title is the room's name for people.
func (r *Room) Title() string { return "" }

// NeedsPIN reports whether callers must give a PIN.
func (r *Room) NeedsPIN() bool { return false }

// Info returns the newest snapshot.
func (r *Room) Info() *Info { return nil }

// Join asks for admission. On success the leg is in the room's mix or, where the
// room has a lobby, waits; ln hears which. A refusal is a *Refusal. The room takes the
// leg out of its mix when the member leaves; the door closes the leg after ln.Ended.
func (r *Room) Join(ctx context.Context, c Caller, l *leg.Leg, ln Listener) (*Member, error) {
	return nil, nil
}

// Member is a participant's handle for his door.
type Member struct{}

// ID is the participant's id in Info.
func (m *Member) ID() string { return "" }

// Room is where he is.
func (m *Member) Room() *Room { return nil }

// Order asks for something to be done on the participant's behalf. The error is a
// *moderation.Refusal when the rules forbid it.
func (m *Member) Order(o moderation.Order) error { return nil }

// SetSelfMuted tells that the participant has muted or unmuted his own microphone.
func (m *Member) SetSelfMuted(on bool) error { return nil }

// SetRecording tells that the participant records on his own side.
func (m *Member) SetRecording(on bool) {}

// SetConnection changes the text that says how he is connected.
func (m *Member) SetConnection(text string) {}

// Leave takes the participant out; ln.Ended follows. It is safe to call twice.
func (m *Member) Leave(reason EndReason) {}
