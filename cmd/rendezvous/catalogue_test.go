package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/mixer"
	"rendezvous/mixer/ladder"
	"rendezvous/recordings"
	"rendezvous/recordings/sealed"
	"rendezvous/signalling/web/control"
)

// plant puts a finished recording into a library's folder.
func plant(t testing.TB, dir, room, id string, film []byte, keys sealed.Keyring) {
	t.Helper()
	started := time.Date(2026, 1, 2, 9, 30, 0, 0, time.UTC)
	side, err := json.Marshal(recordings.Sidecar{Entry: recordings.Entry{
		ID: id, Room: room, Title: "Main room", State: recordings.Complete, Started: started, Ended: started.Add(time.Minute),
		Duration: 60, Size: int64(len(film)), Files: []recordings.File{{Name: "meeting.mp4", Type: "video/mp4", Size: int64(len(film))}},
	}})
	require.NoError(t, err)
	folder := filepath.Join(dir, room, id)
	require.NoError(t, os.MkdirAll(folder, 0o700))
	for file, data := range map[string][]byte{"meeting.mp4": film, "meeting.json": side} {
		if len(keys) > 0 {
			data = sealed.Seal(keys[0], data)
		}
		require.NoError(t, os.WriteFile(filepath.Join(folder, file), data, 0o600))
	}
}

// What the page and the control API get of recordings: the clear text, whole and in
// parts, of the room that was asked for and of no other.
func TestCatalogue(t *testing.T) {
	key, err := sealed.NewKey(bytes.Repeat([]byte{7}, sealed.KeySize))
	require.NoError(t, err)
	film := make([]byte, 10_000)
	for i := range film {
		film[i] = byte(i / 7)
	}
	for name, keys := range map[string]sealed.Keyring{"in the clear": nil, "sealed": {key}} {
		t.Run(name, func(t *testing.T) {
			const id = "20260102T093000Z-00000001"
			dir := t.TempDir()
			plant(t, dir, "main", id, film, keys)
			open := func(keys sealed.Keyring) catalogue {
				library := recordings.Open(recordings.Config{Log: slog.New(slog.DiscardHandler), Dir: dir, Keys: keys})
				t.Cleanup(func() { require.NoError(t, library.Close()) })
				return catalogue{library}
			}
			c := open(keys)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				f, err := c.Open(r.Context(), "main", id)
				if err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
				control.Serve(w, r, f, true)
			}))
			defer server.Close()
			for _, part := range [][2]int{{0, 9999}, {4090, 4100}, {9999, 9999}, {0, 0}} {
				q, err := http.NewRequest("GET", server.URL, nil)
				require.NoError(t, err)
				q.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", part[0], part[1]))
				resp, err := http.DefaultClient.Do(q)
				require.NoError(t, err)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				require.Equal(t, http.StatusPartialContent, resp.StatusCode)
				require.Equal(t, fmt.Sprintf("bytes %d-%d/10000", part[0], part[1]), resp.Header.Get("Content-Range"))
				require.Equal(t, "attachment; filename=main-2026-01-02-093000.mp4", resp.Header.Get("Content-Disposition"))
				require.Equal(t, "private, no-store", resp.Header.Get("Cache-Control"))
				require.True(t, bytes.Equal(film[part[0]:part[1]+1], body), "bytes %v", part)
			}

			list, err := c.List(t.Context(), "side")
			require.NoError(t, err)
			require.Empty(t, list)
			for _, at := range [][2]string{{"side", id}, {"main", "20260102T093000Z-00000002"}, {"main", "../main/" + id}, {"", id}} {
				_, err = c.Open(t.Context(), at[0], at[1])
				require.ErrorIs(t, err, control.ErrNotFound, "%v", at)
				require.ErrorIs(t, c.Delete(t.Context(), at[0], at[1]), control.ErrNotFound, "%v", at)
			}
			if keys != nil {
				_, err := open(nil).Open(t.Context(), "main", id)
				require.ErrorIs(t, err, sealed.ErrKey)
				require.NotErrorIs(t, err, control.ErrNotFound, "that it cannot be read is no reason to say it is not there")
			}
			require.NoError(t, c.Delete(t.Context(), "main", id))
			_, err = c.Open(t.Context(), "main", id)
			require.ErrorIs(t, err, control.ErrNotFound)
			require.NoDirExists(t, filepath.Join(dir, "main"))
		})
	}
}

// Who has what of recordings in the control API: those whose token says so, of the rooms
// it names.
func TestRecordingsByToken(t *testing.T) {
	const id = "20260102T093000Z-00000001"
	dir := t.TempDir()
	plant(t, dir, "main", id, []byte("film"), nil)
	log := slog.New(slog.DiscardHandler)
	library := recordings.Open(recordings.Config{Log: log, Dir: dir})
	defer func() { require.NoError(t, library.Close()) }()
	host, err := conference.NewHost(conference.Config{
		Log: log, Mixer: mixer.Config{Width: 640, Height: 360, Rungs: []ladder.Rung{{Width: 640, Height: 360, FPS: 15, Bitrate: 300_000}}},
		Rooms: settingstest.Rooms(settings.Room{ID: "main"}, settings.Room{ID: "side"}),
	})
	require.NoError(t, err)
	defer host.Close()
	tokens := map[string]control.Token{
		"reader":     {Scopes: []control.Scope{control.ReadRecordings}, Rooms: []string{"main"}},
		"all rooms":  {Scopes: []control.Scope{control.ReadRecordings}},
		"elsewhere":  {Scopes: []control.Scope{control.ReadRecordings, control.DropRecordings}, Rooms: []string{"side"}},
		"all but":    {Scopes: []control.Scope{control.ReadRooms, control.WriteRooms, control.GiveOrders, control.WriteChat}},
		"only drops": {Scopes: []control.Scope{control.DropRecordings}, Rooms: []string{"main"}},
	}
	var all []control.Token
	for name, token := range tokens {
		token.Name, token.Secret = name, "the secret of "+name
		all = append(all, token)
	}
	api := &control.API{
		Log: log, Tokens: func() []control.Token { return all }, Host: host, MaxBody: 4096, Recordings: catalogue{library},
		Addresses: func(string) []string { return nil },
		Allow:     func(*http.Request) bool { return true }, Failed: func(*http.Request) {},
	}
	server := httptest.NewServer(api.Handler())
	defer server.Close()
	for _, tc := range []struct {
		token, method, path string
		status              int
	}{
		{"", "GET", "main/recordings", 401}, {"", "GET", "main/recordings/" + id, 401}, {"", "DELETE", "main/recordings/" + id, 401},
		{"nobody", "GET", "main/recordings/" + id, 401},
		{"all but", "GET", "main/recordings", 403}, {"all but", "GET", "main/recordings/" + id, 403}, {"all but", "DELETE", "main/recordings/" + id, 403},
		{"elsewhere", "GET", "main/recordings", 403}, {"elsewhere", "GET", "main/recordings/" + id, 403}, {"elsewhere", "DELETE", "main/recordings/" + id, 403},
		{"elsewhere", "GET", "side/recordings/" + id, 404}, {"elsewhere", "DELETE", "side/recordings/" + id, 404},
		{"elsewhere", "GET", "side/recordings/..%2f..%2fmain%2f" + id, 404},
		{"reader", "GET", "main/recordings", 200}, {"reader", "GET", "main/recordings/" + id, 200}, {"reader", "DELETE", "main/recordings/" + id, 403},
		{"all rooms", "GET", "main/recordings/" + id, 200},
		{"only drops", "GET", "main/recordings", 403}, {"only drops", "GET", "main/recordings/" + id, 403}, {"only drops", "DELETE", "main/recordings/" + id, 204},
		{"all rooms", "GET", "main/recordings/" + id, 404},
	} {
		q, err := http.NewRequest(tc.method, server.URL+"/api/v1/rooms/"+tc.path, nil)
		require.NoError(t, err)
		if tc.token != "" {
			q.Header.Set("Authorization", "Bearer the secret of "+tc.token)
		}
		resp, err := http.DefaultClient.Do(q)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, tc.status, resp.StatusCode, "%s: %s %s: %s", tc.token, tc.method, tc.path, body)
	}
}
