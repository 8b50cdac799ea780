package conference

import (
	"errors"
	"log/slog"

	"rendezvous/conference/audit"
	"rendezvous/conference/settings"
	"rendezvous/mixer"
)

// Config are the parameters of a Host. Only Log is required.
type Config struct {
	Log     *slog.Logger
	Metrics *Metrics        // nil: not counted
	Mixer   mixer.Config    // of each room; Log is set per room
	Rooms   []settings.Room // those the config file declares

	// Aliases maps identities to the one they stand for, so that a person known through
	// several doors has one role and cannot return through another door once banned.
	Aliases map[string]string

	// Admits reports whether the host has room for one more, by what it has to do; nil: it always has.
	Admits func() bool

	MaxParticipants int      // in all rooms together; 0: no limit
	Store           Store    // keeps rooms made at run time and bans; nil: they are forgotten at the end
	Recorder        Recorder // nil: nothing is recorded
	Speaker         Speaker  // nil: announcements are only shown
	Audit           Auditor  // nil: orders are only kept in the rooms' rings
	RoomsChanged    func()   // is called after rooms were made, changed or deleted at run time; nil: nobody is told

	// Events is told what happens in the rooms, with their locks held: it must not block
	// nor call the host. nil: nobody is told.
	Events func(Event)
	// Kept returns when what Events was told of a room before is kept by who must not lose it: who speaks and orders is
	// answered then. It waits for a stated time at most. nil: there is nobody.
	Kept func(room string)
}

// Auditor takes the record of orders; audit.File is one. Write must not block; it is called with rooms locked.
type Auditor interface {
	// Write takes one entry; what becomes of it is the Auditor's to log and count.
	Write(e audit.Entry)
	// Sync returns when all that was written before is on the disk, or is known to be lost. It waits for a stated time at most. Who has
	// given an order is answered then.
	Sync()
}

// What can be wrong with making and changing rooms.
var (
	ErrRoomExists   = errors.New("there is already a room with this id")
	ErrRoomDeclared = errors.New("the room is declared in the configuration file; change it there")
	ErrNumberTaken  = errors.New("number: another room has this number, or is called so")
)
