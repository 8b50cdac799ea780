package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/recordings"
)

// Films that a power cut has damaged: the list says so, and repair makes of them what can be made.
func TestRepair(t *testing.T) {
	s := newSite(t)
	film, err := os.ReadFile("../../recordings/testdata/meeting.mp4")
	require.NoError(t, err)
	headless := film[bytes.Index(film, []byte("moof"))-4:]
	const able, hopeless = "20260102T093000Z-00000001", "20260102T093000Z-00000002"
	for id, data := range map[string][]byte{able: headless, hopeless: make([]byte, 5000)} {
		folder := filepath.Join(s.Data("recordings"), "main", id)
		require.NoError(t, os.MkdirAll(folder, 0o700))
		side, err := json.Marshal(recordings.Sidecar{Entry: recordings.Entry{
			ID: id, Room: "main", State: recordings.Running, Started: time.Now().Add(-time.Minute), Duration: 60,
			Width: 320, Height: 180, Files: []recordings.File{{Name: "meeting.mp4", Type: "video/mp4"}},
		}})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, "meeting.json"), side, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "meeting.mp4"), data, 0o600))
	}
	s.Start()
	require.Eventually(t, func() bool {
		out, _, err := s.Run("recordings", "main")
		return err == nil && strings.Contains(out, "damaged: the head of the film is lost") && strings.Contains(out, "damaged: no whole fragment")
	}, patience, 100*time.Millisecond)
	out, _, err := s.Run("recordings", "repair", able)
	require.NoError(t, err)
	require.Regexp(t, `^main `+able+` of [1-9][0-9]*s: recovered: repaired: 0 bytes could not be read; what was there is kept as meeting.mp4.damaged\n$`, out)
	out, err2, err := s.Run("recordings", "repair")
	require.Error(t, err)
	require.Equal(t, "main "+hopeless+" of 0s: damaged: no whole fragment is in the film\n", out)
	require.Equal(t, "rendezvous: not repaired, and left as they are: "+hopeless+"\n", err2)
	_, err2, err = s.Run("recordings", "repair", "nothing")
	require.Error(t, err)
	require.Equal(t, "rendezvous: recording nothing: there is no such recording\n", err2)

	to := filepath.Join(t.TempDir(), "copy")
	_, _, err = s.Run("recordings", "export", "main", able, to)
	require.NoError(t, err)
	said, err := exec.Command("ffmpeg", "-v", "error", "-xerror", "-i", filepath.Join(to, "meeting.mp4"), "-f", "null", "-").CombinedOutput()
	require.NoError(t, err, "%s", said)
}
