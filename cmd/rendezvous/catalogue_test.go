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

	"rendezvous/recordings"
	"rendezvous/recordings/sealed"
	"rendezvous/signalling/web/control"
)

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
			started := time.Date(2026, 1, 2, 9, 30, 0, 0, time.UTC)
			dir := t.TempDir()
			side, err := json.Marshal(recordings.Sidecar{Entry: recordings.Entry{
				ID: id, Room: "main", Title: "Main room", State: recordings.Complete, Started: started, Ended: started.Add(time.Minute),
				Duration: 60, Size: int64(len(film)), Files: []recordings.File{{Name: "meeting.mp4", Type: "video/mp4", Size: int64(len(film))}},
			}})
			require.NoError(t, err)
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "main", id), 0o700))
			for file, data := range map[string][]byte{"meeting.mp4": film, "meeting.json": side} {
				if keys != nil {
					data = sealed.Seal(key, data)
				}
				require.NoError(t, os.WriteFile(filepath.Join(dir, "main", id, file), data, 0o600))
			}
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
