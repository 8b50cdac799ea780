package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

// oldRoom is a room as rooms.json had it before the rooms' settings got the names and texts of config.yaml:
// layouts were numbers, durations nanoseconds, and what was false, empty or 0 was mostly left out.
type oldRoom struct {
	ID           string
	Title        string
	PIN          string
	ModeratorPIN string

	Roles       map[string]moderation.Role // by identity
	DefaultRole *moderation.Role           // was always written

	Layout       int
	HideNonVideo bool

	Lobby        bool
	LobbyTimeout time.Duration
	Lecture      bool
	SelfUnmute   bool

	MuteHowling bool
	Echo        *settings.Echo
	Ungated     bool

	MaxParticipants int
	MaxDuration     time.Duration
	From            time.Time
	Until           time.Time
	EndWithHost     bool
	HostGrace       time.Duration

	Recording *moderation.RecordPolicy
	Dial      bool
}

// isOld tells rooms of then by what they alone have.
func isOld(text []byte) bool {
	var r struct{ DefaultRole any }
	return json.Unmarshal(text, &r) == nil && r.DefaultRole != nil
}

// oldLayouts are the layouts by their numbers then.
var oldLayouts = []moderation.Layout{
	moderation.LayoutGrid, moderation.LayoutOneBigWithSmall, moderation.LayoutOneBig, moderation.LayoutSideBySide,
}

func readOld(text []byte) (settings.Room, error) {
	var old oldRoom
	r := settings.Default()
	if err := json.Unmarshal(text, &old); err != nil {
		return r, err
	}
	if old.Layout < 0 || old.Layout >= len(oldLayouts) {
		return r, fmt.Errorf("room %s: there is no layout %d", old.ID, old.Layout)
	}
	r.ID, r.Title, r.PIN, r.ModeratorPIN = old.ID, old.Title, old.PIN, old.ModeratorPIN
	r.Layout, r.HideNonVideo = oldLayouts[old.Layout], old.HideNonVideo
	r.Lobby, r.Lecture, r.SelfUnmute = old.Lobby, old.Lecture, old.SelfUnmute
	r.MuteHowling, r.NoiseGate = old.MuteHowling, !old.Ungated
	r.MaxParticipants, r.MaxDuration = old.MaxParticipants, settings.Duration(old.MaxDuration)
	r.From, r.Until = settings.Moment(old.From), settings.Moment(old.Until)
	r.EndWithHost, r.Dial = old.EndWithHost, old.Dial
	if old.LobbyTimeout != 0 {
		r.LobbyTimeout = settings.Duration(old.LobbyTimeout)
	}
	if old.HostGrace != 0 {
		r.HostGrace = settings.Duration(old.HostGrace)
	}
	if old.Echo != nil {
		r.Echo = *old.Echo
	}
	r.Recording = moderation.RecordOnOrder
	if old.Recording != nil {
		r.Recording = *old.Recording
	}
	r.Roles.Default = *old.DefaultRole
	lists := map[moderation.Role]*[]string{
		moderation.Host: &r.Roles.Host, moderation.Moderator: &r.Roles.Moderator, moderation.Speaker: &r.Roles.Speaker,
		moderation.Listener: &r.Roles.Listener, moderation.Observer: &r.Roles.Observer,
	}
	for _, identity := range slices.Sorted(maps.Keys(old.Roles)) {
		list := lists[old.Roles[identity]]
		*list = append(*list, identity)
	}
	return r, nil
}
