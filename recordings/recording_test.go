package recordings

import (
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/av"
	"rendezvous/mixer/ladder"
	"rendezvous/recordings/recordingstest"
	"rendezvous/recordings/sealed"
)

var (
	_ audio.Member  = (*Recording)(nil)
	_ ladder.Viewer = (*Recording)(nil)
	_ audio.Member  = (*Track)(nil)
)

func TestRecording(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) { testRecording(t, kind.keys) })
	}
}

func testRecording(t *testing.T, keys sealed.Keyring) {
	c := recordingstest.NewClock()
	lib := open(t, t.TempDir(), func(cfg *Config) { cfg.Now, cfg.Keys = c.Now, keys })
	r := newRoom(t)
	defer r.Close()

	rec, err := lib.Start(request())
	require.NoError(t, err)
	require.Equal(t, []ladder.Want{{Codec: ladder.H264, Rung: 0, Key: true}}, rec.Watching(nil), "asks for a key frame")
	require.Equal(t, audio.Format{Codec: "opus", Channels: 1, Bitrate: 32000}, rec.Format())

	rec.Update([]Person{{ID: "p1", Name: "Ann", Talking: true}})
	play(t, r, c, rec, 5*time.Second) // 0 to 5: Ann, red, 1000 Hz
	require.False(t, rec.Watching(nil)[0].Key, "a key frame came")

	c.Advance(2 * time.Second) // 5 to 7: nothing comes at all
	rec.Update([]Person{{ID: "p1", Name: "Ann"}, {ID: "p2", Name: "Bob <b>", Door: "sip", Talking: true}})
	r.Colour, r.Hertz = av.RGB(0, 0, 255), 440
	play(t, r, c, rec, 5*time.Second) // 7 to 12: Bob, blue, 440 Hz

	require.NoError(t, rec.Pause())
	require.Empty(t, rec.Watching(nil), "nothing is encoded for a paused recording")
	require.Zero(t, rec.Format())
	c.Advance(time.Minute)
	require.NoError(t, rec.Resume())
	require.True(t, rec.Watching(nil)[0].Key)
	r.Colour, r.Hertz = av.RGB(0, 255, 0), 3000
	rec.Update([]Person{{ID: "p2", Name: "Bob <b>", Door: "sip"}})
	play(t, r, c, rec, 3*time.Second) // 12 to 15: green, 3000 Hz

	running := lib.List("main")
	require.Len(t, running, 1)
	require.Equal(t, Running, running[0].State)
	require.InDelta(t, 15, running[0].Duration, 0.1)
	require.ErrorIs(t, lib.Delete(rec.ID()), ErrRunning)

	require.NoError(t, rec.Stop())
	require.NoError(t, rec.Stop(), "twice is the same as once")

	e, err := lib.Get(rec.ID())
	require.NoError(t, err)
	require.Equal(t, Complete, e.State)
	require.InDelta(t, 15, e.Duration, 0.2)
	require.Equal(t, 2, e.People)
	require.Equal(t, "Ann", e.By)

	f, file, err := lib.OpenFile(rec.ID(), "")
	require.NoError(t, err)
	defer f.Close()
	require.Equal(t, "video/mp4", file.Type)
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	sum := sha3.Sum512(data)
	require.Equal(t, hex.EncodeToString(sum[:]), file.SHA3)
	require.EqualValues(t, len(data), file.Size)

	path := inTheClear(t, lib, rec.ID(), "")
	p := probe(t, path)
	require.Len(t, p.Streams, 2)
	require.Equal(t, "h264", p.Streams[0].CodecName)
	require.Equal(t, []int{width, height}, []int{p.Streams[0].Width, p.Streams[0].Height})
	require.Equal(t, "opus", p.Streams[1].CodecName)
	require.InDelta(t, 15, p.lasts(t, 0), 0.3, "picture")
	require.InDelta(t, 15, p.lasts(t, 1), 0.3, "sound")
	decodes(t, path)

	seen, pcm := colours(t, path), heard(t, path)
	for _, at := range []struct {
		seconds float64
		rgb     [3]byte
		hz      float64
	}{{1, [3]byte{255, 0, 0}, 1000}, {4.5, [3]byte{255, 0, 0}, 1000}, {7.5, [3]byte{0, 0, 255}, 440}, {11.5, [3]byte{0, 0, 255}, 440}, {13, [3]byte{0, 255, 0}, 3000}} {
		require.Greater(t, len(seen), int(10*at.seconds))
		got := seen[int(10*at.seconds)]
		for i := range got {
			require.InDelta(t, at.rgb[i], got[i], 30, "colour at %.1f s", at.seconds)
		}
		require.Greater(t, levelAt(t, pcm, at.seconds, at.hz), 0.15, "tone at %.1f s", at.seconds)
	}
	require.Less(t, levelAt(t, pcm, 6, 1000), 0.001, "silence where nothing came")
	require.Less(t, levelAt(t, pcm, 6, 440), 0.001)

	s, err := lib.Sidecar(rec.ID())
	require.NoError(t, err)
	require.Equal(t, e, s.Entry)
	require.Len(t, s.Participants, 2)
	require.Equal(t, "Ann", s.Participants[0].Name)
	require.False(t, s.Participants[0].Left.IsZero(), "Ann left")
	require.True(t, s.Participants[1].Left.IsZero(), "Bob stayed")
	require.Len(t, s.Speech, 2)
	require.InDelta(t, 7, s.Speech[0].To, 0.05)
	require.Equal(t, "p2", s.Speech[1].Participant)
	require.InDelta(t, 12, s.Speech[1].To, 0.05)
	require.Len(t, s.Chapters, 2)
	require.Equal(t, "Ann", s.Chapters[0].Title)
	require.Equal(t, "Bob <b>", s.Chapters[1].Title)

	text, err := os.ReadFile(inTheClear(t, lib, rec.ID(), ChaptersFile))
	require.NoError(t, err)
	require.Equal(t, "WEBVTT\n\n1\n00:00:00.000 --> 00:00:07.000\nAnn\n\n2\n00:00:07.000 --> 00:00:15.000\nBob &lt;b&gt;\n", roundVTT(string(text)))

	var side Sidecar
	text, err = os.ReadFile(inTheClear(t, lib, rec.ID(), sidecarFile))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &side))
	require.Equal(t, s, &side)

	onlyForUs(t, lib.cfg.Dir)
	require.NoError(t, lib.Delete(rec.ID()))
	require.NoDirExists(t, lib.folder(&e))
	require.Empty(t, lib.List(""))
	_, _, err = lib.OpenFile(rec.ID(), "")
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorIs(t, lib.Delete(rec.ID()), ErrNotFound)
}

// roundVTT rounds the end of the last cue, which depends on the last packet.
func roundVTT(s string) string {
	out := []byte(s)
	for i := 0; i+12 <= len(out); i++ {
		if string(out[i:i+6]) == "00:00:" && (string(out[i+6:i+8]) == "14" || string(out[i+6:i+8]) == "15") {
			copy(out[i:], "00:00:15.000")
		}
	}
	return string(out)
}

// onlyForUs checks that nobody else on the machine can read what is in a folder.
func onlyForUs(t *testing.T, dir string) {
	t.Helper()
	n := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		n++
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		require.Equal(t, want, info.Mode().Perm(), path)
		return nil
	}))
	require.Greater(t, n, 4, "catalogue, folders, meeting, sidecar, chapters")
}

func TestTracksOfParticipants(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) { testTracks(t, kind.keys) })
	}
}

func testTracks(t *testing.T, keys sealed.Keyring) {
	c := recordingstest.NewClock()
	lib := open(t, t.TempDir(), func(cfg *Config) { cfg.Now, cfg.Keys = c.Now, keys })
	r := newRoom(t)
	defer r.Close()
	rec, err := lib.Start(request())
	require.NoError(t, err)
	play(t, r, c, rec, 2*time.Second)

	bob := rec.Track("p2", "Bob") // comes after 2 s
	require.Same(t, bob, rec.Track("p2", "Bob"))
	voice := newRoom(t)
	defer voice.Close()
	voice.Hertz = 700
	for range 100 {
		p, err := voice.Sound()
		require.NoError(t, err)
		bob.WritePacket(p, bob.Format())
		require.NoError(t, r.Tick(rec, 0))
		c.Advance(20 * time.Millisecond)
		settle(rec)
	}
	eve := rec.Track("p3", "Eve") // says nothing: no file
	eve.WritePacket(audio.Packet{Payload: silence, Samples: audio.FrameSamples, Silent: true}, eve.Format())
	require.NoError(t, rec.Stop())

	e, err := lib.Get(rec.ID())
	require.NoError(t, err)
	require.Len(t, e.Files, 2, "%v", e.Files)
	require.Equal(t, "p2", e.Files[1].Participant)
	require.Equal(t, "Bob", e.Files[1].Title)
	require.Equal(t, "audio/ogg", e.Files[1].Type)
	path := inTheClear(t, lib, rec.ID(), e.Files[1].Name)
	pcm := heard(t, path)
	require.Less(t, levelAt(t, pcm, 1, 700), 0.001, "aligned with the meeting: silence before they came")
	require.Greater(t, levelAt(t, pcm, 3, 700), 0.15)
	decodes(t, path)
}

func TestNothingRecordedLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	lib := open(t, dir, nil)
	rec, err := lib.Start(request())
	require.NoError(t, err)
	require.NoError(t, rec.Stop())
	require.Empty(t, lib.List(""))
	require.NoDirExists(t, filepath.Join(dir, "main", rec.ID()))
}

func TestStartRefusesBadRooms(t *testing.T) {
	lib := open(t, t.TempDir(), nil)
	q := request()
	q.Room = "../etc"
	_, err := lib.Start(q)
	require.ErrorContains(t, err, "room")
}

func TestUnwritableFolderFailsTheRecordingOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(dir, nil, 0o600)) // a file where the folder should be
	lib := open(t, dir, nil)
	require.Empty(t, lib.List(""))
	_, err := lib.Start(request())
	require.ErrorContains(t, err, "recording cannot be kept")
}

func TestMinFree(t *testing.T) {
	lib := open(t, t.TempDir(), func(cfg *Config) { cfg.Retention.MinFree = 1 << 60 })
	_, err := lib.Start(request())
	require.ErrorContains(t, err, "MB free")
	require.Empty(t, lib.List(""))

	lib.SetRetention(Retention{})
	rec, err := lib.Start(request())
	require.NoError(t, err)
	lib.SetRetention(Retention{MinFree: 1 << 60})
	require.ErrorContains(t, rec.checkpoint(), "MB free")
	require.NoError(t, rec.Stop())
}
