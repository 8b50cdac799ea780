// Package settingstest makes rooms for tests.
package settingstest

import (
	"cmp"

	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

// Rooms completes rooms of which a test has said only what it is about. They are quiet: nobody is muted by the
// room, nothing is recorded without an order, and there is no limit, unless the test says so; but
// background noise is kept out.
func Rooms(rooms ...settings.Room) []settings.Room {
	usual := settings.Default()
	for i := range rooms {
		r := &rooms[i]
		r.ID = cmp.Or(r.ID, "main")
		r.NoiseGate = true
		r.Layout = cmp.Or(r.Layout, usual.Layout)
		r.Echo = cmp.Or(r.Echo, usual.Echo)
		r.LobbyTimeout = cmp.Or(r.LobbyTimeout, usual.LobbyTimeout)
		r.HostGrace = cmp.Or(r.HostGrace, usual.HostGrace)
		r.Recording = cmp.Or(r.Recording, moderation.RecordOnOrder)
		r.Roles.Default = cmp.Or(r.Roles.Default, usual.Roles.Default)
		r.Jami.Calls = cmp.Or(r.Jami.Calls, usual.Jami.Calls)
		r.Jami.Requests = cmp.Or(r.Jami.Requests, usual.Jami.Requests)
		if r.Conversation.Mode == "" {
			r.Conversation = usual.Conversation
		}
	}
	return rooms
}

// Room completes one.
func Room(r settings.Room) settings.Room { return Rooms(r)[0] }
