package swarm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rendezvous/swarm/repo"
)

// What an earlier program has noted, absolute paths, is turned into keys once, whatever the folders were called.
func TestFileIndexOfPaths(t *testing.T) {
	path := filepath.Join(t.TempDir(), "files.json")
	const film = "main/20260101T100000Z-00000001/meeting.mp4"
	old := `{"a": "/srv/data/recordings/` + film + `", "b": "/films/` + film + `", "c": "/` + film + `", "d": "` + film + `",
		"e": "/meeting.mp4", "f": "/srv/` + strings.Repeat("x", maxKey) + `/b/c", "g": "/srv/../a/.."}`
	if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := openFileIndex(path)
	if err == nil || !strings.Contains(err.Error(), "/meeting.mp4 is no recording's") || !strings.Contains(err.Error(), "/srv/../a/..") || strings.Contains(err.Error(), film) {
		t.Errorf("what cannot be served any more: %v", err)
	}
	for range 2 {
		for _, id := range []string{"a", "b", "c", "d"} {
			if got, ok := s.find(id); !ok || got != film {
				t.Errorf("%s is opened by %q", id, got)
			}
		}
		if len(s.files) != 4 {
			t.Error(s.files)
		}
		before := must[os.FileInfo](t)(os.Stat(path))
		if s, err = openFileIndex(path); err != nil {
			t.Fatal(err)
		}
		if after := must[os.FileInfo](t)(os.Stat(path)); !os.SameFile(before, after) {
			t.Error("it is written again though there is nothing to do")
		}
	}
	if b := must[[]byte](t)(os.ReadFile(path)); strings.Contains(string(b), "/srv") {
		t.Errorf("on the disk: %s", b)
	}
}

// An index whose keys cannot be saved has them all the same; the next start tries again.
func TestFileIndexOfPathsThatCannotBeSaved(t *testing.T) {
	s := &fileIndex{path: filepath.Join(t.TempDir(), "missing", "files.json"), files: map[string]string{"a": "/srv/main/1/film"}}
	if err := s.forgetPaths(); err == nil {
		t.Error("saved where it cannot be")
	}
	if key, _ := s.find("a"); key != "main/1/film" {
		t.Errorf("opened by %q", key)
	}
}

var hostileKeys = []string{"", ".", "..", "/", "a", "a/b", "a/b/", "a//b", "/a/b/c", "/b/c", "a/b/c/d", "../b/c", "a/../c", "a/b/..", "./b/c", "a/b/.",
	"a/b/c/", "a/b/c\x00", "a/b/c\n", "a/b/\xff", "a/b/" + strings.Repeat("x", maxKey)}

// Keys that lead out of the folder, or elsewhere than they seem to, are asked for nowhere: neither of a file that is to be sent, nor
// of one that is in the index, whoever has put it there.
func TestHostileKeys(t *testing.T) {
	w := newWorld(t, 1)
	h, c := w.hosts[0], w.group(1)[0]
	f := h.file("film", []byte("film"))
	e := must[repo.Entry](t)(c.SendFile(f))
	if _, err := c.offer(FileID(e), ""); err != nil {
		t.Error(err)
	}
	head := c.repo.Head()
	refused := func(what string, f File) {
		t.Helper()
		if _, err := c.SendFile(f); err == nil || len(err.Error()) > 10*maxKey || c.repo.Head() != head || len(c.files.files) != 1 {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, key := range hostileKeys {
		bad := f
		bad.Key = key
		refused(key, bad)
		if err := c.files.set(FileID(e), key); err != nil {
			t.Fatal(err)
		}
		if _, err := c.offer(FileID(e), ""); err == nil {
			t.Errorf("%q is offered", key)
		}
		if err := c.files.set(FileID(e), f.Key); err != nil {
			t.Fatal(err)
		}
	}
	missing, short, wrong := f, f, f
	missing.Key, short.Size, wrong.SHA3 = "room/1/none", 5, f.SHA3[1:]
	refused("a file that is not there", missing)
	refused("half a file", short)
	refused("a hash that is none", wrong)
	if err := h.swarm.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.SendFile(f); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
