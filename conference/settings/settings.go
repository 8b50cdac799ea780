// Package settings is what can be set about a room: each setting's name, its kind, its default and what
// it may be. config.yaml, the control API and the file of the rooms made at run time are read into its
// Room, and the rest of the house is given it. It is pure: no I/O, no clocks.
package settings

import (
	"slices"
	"time"

	"rendezvous/moderation"
)

// Room is a room as an administrator, or a program of theirs, wants it. The tags are the settings' names, in
// config.yaml and in JSON; docs/config.md says what each means. live:"no" marks what SIGHUP does not change, secret:"yes" what may
// stand in a file of its own.
type Room struct {
	ID string `json:"id" mapstructure:"-"` // [a-z0-9-]+; in config.yaml the key of the room

	Picture string `json:"-" mapstructure:"picture"` // of config.yaml alone: a program must not name files of the host

	Number       string            `json:"number" mapstructure:"number"`        // "": not reached by one
	Title        string            `json:"title" mapstructure:"title"`          // "": the id
	PIN          string            `json:"pin" mapstructure:"pin" secret:"yes"` // "": none is asked for
	ModeratorPIN string            `json:"moderator_pin" mapstructure:"moderator_pin" secret:"yes"`
	Layout       moderation.Layout `json:"layout" mapstructure:"layout"`
	HideNonVideo bool              `json:"hide_non_video" mapstructure:"hide_non_video"`

	Lobby        bool     `json:"lobby" mapstructure:"lobby"` // newcomers wait for a moderator
	LobbyTimeout Duration `json:"lobby_timeout" mapstructure:"lobby_timeout"`
	Lecture      bool     `json:"lecture" mapstructure:"lecture"`
	SelfUnmute   bool     `json:"self_unmute" mapstructure:"self_unmute"` // who was muted may unmute themselves
	NoiseGate    bool     `json:"noise_gate" mapstructure:"noise_gate"`   // false: background noise is mixed too
	MuteHowling  bool     `json:"mute_howling" mapstructure:"mute_howling"`
	Echo         Echo     `json:"echo" mapstructure:"echo"`

	MaxParticipants int      `json:"max_participants" mapstructure:"max_participants"` // 0: no limit
	MaxDuration     Duration `json:"max_duration" mapstructure:"max_duration"`         // of a meeting; 0: no limit
	From            Moment   `json:"from,omitzero" mapstructure:"from"`                // the room is open from then…
	Until           Moment   `json:"until,omitzero" mapstructure:"until"`              // …until then; zero: no limit
	EndWithHost     bool     `json:"end_with_host" mapstructure:"end_with_host"`       // the meeting ends when its host leaves
	HostGrace       Duration `json:"host_grace" mapstructure:"host_grace"`             // and does not come back so soon

	Dial         bool                    `json:"dial" mapstructure:"dial"` // moderators may call out
	Recording    moderation.RecordPolicy `json:"recording" mapstructure:"recording"`
	RecordTracks bool                    `json:"record_tracks" mapstructure:"record_tracks"` // each participant's sound too

	Roles        Roles        `json:"roles" mapstructure:"roles"`
	Jami         Jami         `json:"jami" mapstructure:"jami"`
	Conversation Conversation `json:"conversation" mapstructure:"conversation" live:"no"`
}

// Roles gives people a role by their proven identity ("jami:…", "sip:…", "web:…"). Who is listed needs no
// PIN and does not wait in the lobby.
type Roles struct {
	Default   moderation.Role `json:"default" mapstructure:"default"` // of everybody else
	Host      []string        `json:"host,omitempty" mapstructure:"host"`
	Moderator []string        `json:"moderator,omitempty" mapstructure:"moderator"`
	Speaker   []string        `json:"speaker,omitempty" mapstructure:"speaker"`
	Listener  []string        `json:"listener,omitempty" mapstructure:"listener"`
	Observer  []string        `json:"observer,omitempty" mapstructure:"observer"`
}

// Jami says who may call the room from Jami.
type Jami struct {
	Calls    Calls    `json:"calls" mapstructure:"calls"`
	Allow    []string `json:"allow,omitempty" mapstructure:"allow"` // Jami ids: the list
	Requests Requests `json:"requests" mapstructure:"requests"`
}

// Conversation is the room's group on the Jami network.
type Conversation struct {
	Enabled    bool       `json:"enabled" mapstructure:"enabled"`
	Mode       Mode       `json:"mode" mapstructure:"mode"`
	Invite     Invite     `json:"invite" mapstructure:"invite"`
	Members    []string   `json:"members,omitempty" mapstructure:"members"` // Jami ids that are always invited
	Join       Join       `json:"join" mapstructure:"join"`
	Moderators Moderators `json:"moderators" mapstructure:"moderators"`
}

// Default is a room about which nothing was said.
func Default() Room {
	return Room{
		Layout:          moderation.LayoutAuto,
		SelfUnmute:      true,
		NoiseGate:       true,
		MuteHowling:     true,
		Echo:            EchoNotify,
		MaxParticipants: 50,
		LobbyTimeout:    Duration(10 * time.Minute),
		HostGrace:       Duration(10 * time.Second),
		Recording:       moderation.RecordOnOrder, // nobody is recorded for want of a setting
		Roles:           Roles{Default: moderation.Speaker},
		Jami:            Jami{Calls: CallsPublic, Requests: RequestsModerated},
		Conversation: Conversation{
			Enabled: true, Mode: ModeInvitesOnly, Invite: InviteContacts, Join: JoinContacts, Moderators: ModeratorsNone,
		},
	}
}

// Of returns the role that an identity is listed with.
func (r Roles) Of(identity string) (role moderation.Role, listed bool) {
	for _, l := range r.lists() {
		if slices.Contains(l.who, identity) {
			return l.role, true
		}
	}
	return 0, false
}

// list is who has a role.
type list struct {
	role moderation.Role
	who  []string // identities
}

func (r Roles) lists() []list {
	return []list{
		{moderation.Host, r.Host}, {moderation.Moderator, r.Moderator}, {moderation.Speaker, r.Speaker},
		{moderation.Listener, r.Listener}, {moderation.Observer, r.Observer},
	}
}
