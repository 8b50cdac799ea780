package store

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/moderation"
)

var _ conference.Store = (*Store)(nil)

func TestKeepsRoomsAndBans(t *testing.T) {
	dir := t.TempDir()
	s := New(dir)
	rooms, err := s.LoadRooms()
	require.NoError(t, err)
	require.Empty(t, rooms, "nothing kept yet")

	wantRooms := []conference.RoomConfig{{
		ID: "a", Title: "A", PIN: "0042", MaxDuration: time.Hour,
		Roles: map[string]moderation.Role{"web:x": moderation.Host}, DefaultRole: moderation.Speaker,
	}}
	wantBans := []conference.Ban{{Room: "a", Identity: "web:y", Name: "Y", By: "X", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Forever: true}}
	require.NoError(t, s.SaveRooms(wantRooms))
	require.NoError(t, s.SaveBans(wantBans))

	s = New(dir)
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
	_, err := New(dir).LoadBans()
	require.ErrorContains(t, err, "bans.json is damaged")
}
