package conference

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"rendezvous/conference/audit"
	"rendezvous/mixer"
	"rendezvous/mixer/video"
	"rendezvous/moderation"
)

// Config are the parameters of a Host. Only Log is required.
type Config struct {
	Log     *slog.Logger
	Metrics *Metrics     // nil: not counted
	Mixer   mixer.Config // of each room; Log is set per room
	Rooms   []RoomConfig // those the config file declares

	// Aliases maps identities to the one they stand for, so that a person known through
	// several doors has one role and cannot return through another door once banned.
	Aliases map[string]string

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

// RoomConfig is a room as an administrator declares it.
type RoomConfig struct {
	ID    string `json:"id"`    // [a-z0-9-]+
	Title string `json:"title"` // for people; "": the id

	PIN          string `json:"pin,omitempty"`          // "": none is asked for
	ModeratorPIN string `json:"moderatorPin,omitempty"` // gives the role of a moderator

	// Roles by proven identity ("jami:…", "sip:…", "web:…"). Whoever is listed
	// needs no PIN and does not wait in the lobby.
	Roles       map[string]moderation.Role `json:"roles,omitempty"`
	DefaultRole moderation.Role            `json:"defaultRole"` // of everybody else: Listener or Speaker

	Layout       video.Layout `json:"layout"`
	HideNonVideo bool         `json:"hideNonVideo,omitempty"`

	Lobby        bool          `json:"lobby,omitempty"`        // newcomers wait for a moderator
	LobbyTimeout time.Duration `json:"lobbyTimeout,omitempty"` // 0: 10 minutes
	Lecture      bool          `json:"lecture,omitempty"`
	SelfUnmute   bool          `json:"selfUnmute"` // who was muted may unmute himself

	// Help with bad sound.
	MuteHowling bool       `json:"muteHowling,omitempty"` // the room mutes whose loudspeaker feeds his microphone
	Echo        EchoPolicy `json:"echo,omitempty"`        // "": notify
	Ungated     bool       `json:"ungated,omitempty"`     // background noise is mixed too

	MaxParticipants int           `json:"maxParticipants,omitempty"` // 0: no limit
	MaxDuration     time.Duration `json:"maxDuration,omitempty"`     // of a meeting; 0: no limit
	From            time.Time     `json:"from,omitzero"`             // the room is open from then…
	Until           time.Time     `json:"until,omitzero"`            // …until then; zero: no limit
	EndWithHost     bool          `json:"endWithHost,omitempty"`     // the meeting ends when its host leaves
	HostGrace       time.Duration `json:"hostGrace,omitempty"`       // and does not come back so soon; 0: 10 s

	Recording moderation.RecordPolicy `json:"recording,omitempty"` // "": on-demand
	Dial      bool                    `json:"dial,omitempty"`      // moderators may call out
}

// Auditor takes the record of orders; audit.File is one. Write must not block; it is called with rooms locked.
type Auditor interface {
	// Write takes one entry; what becomes of it is the Auditor's to log and count.
	Write(e audit.Entry)
	// Sync returns when all that was written before is on the disk, or is known to be lost. It waits for a stated time at most. Who has
	// given an order is answered then.
	Sync()
}

const (
	defaultLobbyTimeout = 10 * time.Minute
	defaultHostGrace    = 10 * time.Second
)

var roomID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Check reports what is wrong with the configuration of a room.
func (c RoomConfig) Check() error {
	switch {
	case !roomID.MatchString(c.ID):
		return fmt.Errorf("room id %.80q: use up to 63 of a-z, 0-9 and -", c.ID)
	case c.DefaultRole > moderation.Speaker:
		return fmt.Errorf("room %s: defaultRole cannot be %s: everybody would run the meeting", c.ID, c.DefaultRole)
	case c.PIN != "" && c.PIN == c.ModeratorPIN:
		return fmt.Errorf("room %s: pin and moderatorPin are the same", c.ID)
	case c.Layout < video.Grid || c.Layout > video.SideBySide:
		return fmt.Errorf("room %s: there is no layout %d", c.ID, c.Layout)
	case c.MaxParticipants < 0 || c.MaxParticipants > moderation.MaxPeople:
		return fmt.Errorf("room %s: maxParticipants must be between 0 and %d", c.ID, moderation.MaxPeople)
	case c.MaxDuration < 0 || c.LobbyTimeout < 0 || c.HostGrace < 0:
		return fmt.Errorf("room %s: durations cannot be negative", c.ID)
	case !c.From.IsZero() && !c.Until.IsZero() && !c.Until.After(c.From):
		return fmt.Errorf("room %s: until is not after from", c.ID)
	}
	for identity, role := range c.Roles {
		if identity == "" || role > moderation.Host {
			return fmt.Errorf("room %s: roles: %q cannot be %s", c.ID, identity, role)
		}
	}
	switch c.Recording {
	case "", moderation.RecordNever, moderation.RecordOnOrder, moderation.RecordAuto, moderation.RecordAlways:
	default:
		return fmt.Errorf("room %s: recording is never, on-demand, auto or always, not %.40q", c.ID, c.Recording)
	}
	switch c.Echo {
	case "", EchoNotify, EchoMute, EchoOff:
	default:
		return fmt.Errorf("room %s: echo is notify, mute or off, not %.40q", c.ID, c.Echo)
	}
	return nil
}

// withDefaults fills in what was left out.
func (c RoomConfig) withDefaults() RoomConfig {
	if c.Title == "" {
		c.Title = c.ID
	}
	if c.LobbyTimeout == 0 {
		c.LobbyTimeout = defaultLobbyTimeout
	}
	if c.HostGrace == 0 {
		c.HostGrace = defaultHostGrace
	}
	if c.Recording == "" {
		c.Recording = moderation.RecordOnOrder
	}
	return c
}

// What can be wrong with making and changing rooms.
var (
	ErrRoomExists   = errors.New("there is already a room with this id")
	ErrRoomDeclared = errors.New("the room is declared in the configuration file; change it there")
)
