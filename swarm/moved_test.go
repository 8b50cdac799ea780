package swarm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rendezvous/recordings"
	"rendezvous/recordings/recordingstest"
	"rendezvous/recordings/sealed"
	"rendezvous/swarm/repo"
)

// sender is a recordings.Archive that sends film and sidecar, as the program's own does.
type sender struct {
	lib  *recordings.Library
	c    *Conversation
	sent chan repo.Entry
}

func (s sender) Store(ctx context.Context, e recordings.Entry) (string, error) {
	for _, name := range []string{"meeting.mp4", "meeting.json"} {
		f, err := s.lib.Hashed(ctx, e.ID, name)
		if err != nil {
			return "", err
		}
		m, err := s.c.SendFile(File{Name: name, Key: e.Key(name), Size: f.Size, SHA3: f.SHA3})
		if err != nil {
			return "", err
		}
		s.sent <- m
	}
	return "sent", nil
}

func (sender) Forget(context.Context, recordings.Entry) error { return nil }

// record makes a film of some seconds.
func record(t *testing.T, lib *recordings.Library, clock *recordingstest.Clock) recordings.Entry {
	t.Helper()
	room := must[*recordingstest.Room](t)(recordingstest.NewRoom())
	defer room.Close()
	rec := must[*recordings.Recording](t)(lib.Start(recordings.Request{Room: "main", Title: "Main room", Width: recordingstest.Width, Height: recordingstest.Height}))
	for n := range 150 {
		if err := room.Tick(rec, n); err != nil {
			t.Fatal(err)
		}
		clock.Advance(20 * time.Millisecond)
	}
	if err := rec.Stop(); err != nil {
		t.Fatal(err)
	}
	e := must[recordings.Entry](t)(lib.Get(rec.ID()))
	if e.Duration < 2 {
		t.Fatalf("%+v", e)
	}
	return e
}

// A data folder that was moved serves what was archived before, byte for byte, also what an earlier program has archived, which
// remembered paths. The film is sealed on the disk. What is missing is refused, with the reason.
func TestMovedDataFolder(t *testing.T) {
	for _, noted := range []string{"keys", "paths"} {
		t.Run(noted, func(t *testing.T) { testMovedDataFolder(t, noted == "paths") })
	}
}

func testMovedDataFolder(t *testing.T, paths bool) {
	w := newWorld(t, 2)
	h := w.hosts[0]
	data := filepath.Dir(h.dir)
	moved := data + "-moved"
	clock := recordingstest.NewClock()
	key := must[sealed.Key](t)(sealed.NewKey(bytes.Repeat([]byte{1}, sealed.KeySize)))
	open := func(data string) *recordings.Library {
		return recordings.Open(recordings.Config{Log: slog.New(slog.DiscardHandler), Dir: filepath.Join(data, "recordings"), Mark: filepath.Join(data, "recordings.mark"),
			Keys: sealed.Keyring{key}, Now: clock.Now})
	}
	lib := open(data)
	h.swarm.cfg.OpenFile = func(key string) (io.ReadSeekCloser, error) { return lib.OpenKey(key) }
	all := w.group(2)
	e := record(t, lib, clock)
	clear := map[string][]byte{}
	for _, name := range []string{"meeting.mp4", "meeting.json"} {
		f, _, err := lib.OpenFile(e.ID, name)
		if err != nil {
			t.Fatal(err)
		}
		clear[name] = must[[]byte](t)(io.ReadAll(f))
		f.Close()
	}
	s := sender{lib, all[0], make(chan repo.Entry, 2)}
	lib.ArchiveTo(s)
	sent := []repo.Entry{<-s.sent, <-s.sent}
	agree(t, all...)
	shelf := all[0].files.path

	h.again(t, func() {
		if err := lib.Close(); err != nil {
			t.Fatal(err)
		}
		if paths {
			old := map[string]string{}
			for id, key := range all[0].files.files {
				old[id] = filepath.Join(data, "recordings", key)
			}
			if err := os.WriteFile(shelf, must[[]byte](t)(json.Marshal(old)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Rename(data, moved); err != nil {
			t.Fatal(err)
		}
		h.swarm.cfg.Dir = filepath.Join(moved, filepath.Base(h.dir))
		lib = open(moved)
	})
	defer func() {
		if err := lib.Close(); err != nil {
			t.Error(err)
		}
	}()
	c := h.swarm.Conversation(all[0].ID())
	if text := must[[]byte](t)(os.ReadFile(c.files.path)); strings.Contains(string(text), data) || !strings.Contains(string(text), `"main/`+e.ID+`/meeting.mp4"`) {
		t.Errorf("it remembers %s", text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	for _, m := range sent {
		name := m.Message.Get("displayName")
		path := filepath.Join(dir, name)
		if err := all[1].Download(ctx, m, path); err != nil {
			t.Fatal(err)
		}
		if got := must[[]byte](t)(os.ReadFile(path)); len(got) == 0 || !bytes.Equal(got, clear[name]) {
			t.Errorf("%s: the member has %d bytes, others than the %d that were recorded", name, len(got), len(clear[name]))
		}
	}
	if raw := must[[]byte](t)(os.ReadFile(filepath.Join(moved, "recordings", "main", e.ID, "meeting.mp4"))); bytes.Equal(raw, clear["meeting.mp4"]) {
		t.Error("the film lies open on the disk")
	}

	if err := os.Rename(filepath.Join(moved, "recordings", "main", e.ID), filepath.Join(moved, "away")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.offer(FileID(sent[0]), ""); !errors.Is(err, recordings.ErrNotFound) {
		t.Errorf("a film that is not there: %v", err)
	}
	if err := all[1].Download(ctx, sent[0], filepath.Join(dir, "none")); err == nil {
		t.Error("a film that is not there is served")
	}
}
