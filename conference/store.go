package conference

import (
	"time"

	"rendezvous/conference/settings"
)

// Store keeps what must outlive the program. The program provides it; calls come one at a
// time and may wait for the disk. What is saved takes the place of all that was, or, with
// an error, of nothing. What was never saved is loaded as empty, without an error.
type Store interface {
	LoadRooms() ([]settings.Room, error)   // made at run time
	SaveRooms(rooms []settings.Room) error // all of them
	LoadBans() ([]Ban, error)              // for good
	SaveBans(bans []Ban) error             // all of them, of all rooms
}

// Ban keeps somebody out of a room.
type Ban struct {
	Room     string    `json:"room"`
	Identity string    `json:"identity"`
	Proven   bool      `json:"proven"` // they had proven it; if not, callers who can are not meant
	Name     string    `json:"name"`   // as they were called then
	By       string    `json:"by"`     // name of who banned them
	Time     time.Time `json:"time"`
	Forever  bool      `json:"forever"` // else until the meeting ends
}

// meant reports whether the ban of a caller's identity holds for them: nobody is kept out
// for what another did in their name.
func (b Ban) meant(c Caller) bool {
	return c.Identity != "" && b.Identity == c.Identity && (b.Proven || !c.Proven)
}
