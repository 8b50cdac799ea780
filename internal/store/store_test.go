package store

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

var _ conference.Store = (*Store)(nil)

func TestKeepsRoomsAndBans(t *testing.T) {
	dir := t.TempDir()
	s := New(dir, slog.New(slog.DiscardHandler))
	rooms, err := s.LoadRooms()
	require.NoError(t, err)
	require.Empty(t, rooms, "nothing kept yet")

	whole := settings.Room{
		ID: "a", Title: "A", PIN: "0042", ModeratorPIN: "123456", Layout: moderation.LayoutSideBySide, HideNonVideo: true,
		Lobby: true, LobbyTimeout: settings.Duration(90 * time.Second), Lecture: true, Echo: settings.EchoOff,
		MaxDuration: settings.Duration(time.Hour), From: settings.Moment(time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC)),
		EndWithHost: true, Recording: moderation.RecordNever, RecordTracks: true, Dial: true,
		Roles:        settings.Roles{Default: moderation.Listener, Host: []string{"web:x"}},
		Jami:         settings.Jami{Calls: settings.CallsList, Allow: []string{strings.Repeat("a", 40)}, Requests: settings.RequestsRefused},
		Conversation: settings.Conversation{Mode: settings.ModePublic, Invite: settings.InviteNobody, Join: settings.JoinNever, Moderators: settings.ModeratorsAdmins},
	}
	usual := settings.Default()
	usual.ID = "b"
	wantRooms := []settings.Room{whole, usual}
	wantBans := []conference.Ban{{Room: "a", Identity: "web:y", Name: "Y", By: "X", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Forever: true}}
	require.NoError(t, s.SaveRooms(wantRooms))
	require.NoError(t, s.SaveBans(wantBans))

	s = New(dir, slog.New(slog.DiscardHandler))
	rooms, err = s.LoadRooms()
	require.NoError(t, err)
	require.Equal(t, wantRooms, rooms)
	bans, err := s.LoadBans()
	require.NoError(t, err)
	require.Equal(t, wantBans, bans)

	info, err := os.Stat(filepath.Join(dir, "rooms.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "PINs are in it")
}

func TestDamagedFileIsAnError(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bans.json"), []byte(`[{"room":`), 0o600))
	_, err := New(dir, slog.New(slog.DiscardHandler)).LoadBans()
	require.ErrorContains(t, err, "bans.json is damaged")
}

// testdata/rooms-old.json was written by a host whose layouts were numbers.
func TestReadsOldRooms(t *testing.T) {
	dir := t.TempDir()
	text, err := os.ReadFile("testdata/rooms-old.json")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rooms.json"), text, 0o600))

	full, least := settings.Default(), settings.Default()
	full.ID, full.Title, full.PIN, full.ModeratorPIN = "full", "Full", "0042", "123456"
	full.Roles = settings.Roles{Default: moderation.Listener, Host: []string{"web:x"}, Observer: []string{"sip:y@z"}}
	full.Layout, full.HideNonVideo = moderation.LayoutOneBig, true
	full.Lobby, full.LobbyTimeout, full.Lecture = true, settings.Duration(90*time.Second), true
	full.Echo, full.NoiseGate = settings.EchoMute, false
	full.MaxParticipants, full.MaxDuration = 7, settings.Duration(time.Hour)
	full.From = settings.Moment(time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC))
	full.Until = settings.Moment(time.Date(2026, 12, 25, 18, 0, 0, 0, time.UTC))
	full.EndWithHost, full.HostGrace = true, settings.Duration(time.Minute)
	full.Recording, full.Dial = moderation.RecordNever, true
	least.ID, least.Title, least.MaxParticipants, least.Recording = "least", "least", 0, moderation.RecordOnOrder
	least.Layout = moderation.LayoutGrid

	s := New(dir, slog.New(slog.DiscardHandler))
	rooms, err := s.LoadRooms()
	require.NoError(t, err)
	require.Equal(t, []settings.Room{full, least}, rooms)
	for _, r := range rooms {
		require.NoError(t, r.Check())
	}
	require.NoError(t, s.SaveRooms(rooms))
	again, err := s.LoadRooms()
	require.NoError(t, err)
	require.Equal(t, rooms, again)
	text, err = os.ReadFile(filepath.Join(dir, "rooms.json"))
	require.NoError(t, err)
	require.Contains(t, string(text), `"layout": "one-big"`)
	require.NotContains(t, string(text), "defaultRole")
}

// What was left out of an old file was false, 0 or empty then, whatever the default is now.
func TestWhatOldRoomsLeaveOut(t *testing.T) {
	for text, want := range map[string]func(*settings.Room){
		`{"id":"a","defaultRole":"speaker"}`: func(r *settings.Room) {
			r.ID, r.SelfUnmute, r.MuteHowling, r.MaxParticipants, r.Recording = "a", false, false, 0, moderation.RecordOnOrder
			r.Layout = moderation.LayoutGrid
		},
		`{"id":"a"}`: func(r *settings.Room) { r.ID = "a" },
		`{"id":"a","recording":"never","max_duration":"2h","colour":"of a younger host"}`: func(r *settings.Room) {
			r.ID, r.Recording, r.MaxDuration = "a", moderation.RecordNever, settings.Duration(2*time.Hour)
		},
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "rooms.json"), []byte("["+text+"]"), 0o600))
		r := settings.Default()
		want(&r)
		rooms, err := New(dir, slog.New(slog.DiscardHandler)).LoadRooms()
		require.NoError(t, err)
		require.Equal(t, []settings.Room{r}, rooms, text)
	}
	for _, text := range []string{`{"id":"a","defaultRole":"speaker","layout":7}`, `{"id":"a","layout":"pile"}`, `{"id":"a","defaultRole":"king"}`} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "rooms.json"), []byte("["+text+"]"), 0o600))
		rooms, err := New(dir, slog.New(slog.DiscardHandler)).LoadRooms()
		require.NoError(t, err)
		require.Empty(t, rooms, text)
	}
}

// A room that a younger program has made is left out by itself, and kept for that program.
func TestForeignRoom(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "rooms.json")
	require.NoError(t, os.WriteFile(file, []byte(`[{"id": "a", "layout": "spiral", "of": "tomorrow"}, {"id": "b"}]`), 0o600))
	s := New(dir, slog.New(slog.DiscardHandler))
	rooms, err := s.LoadRooms()
	require.NoError(t, err)
	require.Len(t, rooms, 1)
	require.Equal(t, "b", rooms[0].ID)
	require.NoError(t, s.SaveRooms(nil))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.JSONEq(t, `[{"id": "a", "layout": "spiral", "of": "tomorrow"}]`, string(text))
	rooms[0].ID = "a"
	require.NoError(t, s.SaveRooms(rooms))
	text, err = os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(text), "spiral", "made anew under its name")
	require.NoError(t, os.WriteFile(file, []byte(`[{"layout": "spiral"}]`), 0o600))
	_, err = s.LoadRooms()
	require.ErrorContains(t, err, "rooms.json cannot be read")
}
