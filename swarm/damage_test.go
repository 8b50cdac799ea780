package swarm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"rendezvous/internal/eventually"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// objectPath is where an object of a host's conversation lies.
func (h *host) objectPath(c *Conversation, id string) string {
	return filepath.Join(h.dir, c.ID(), "objects", id[:2], id[2:])
}

// flip changes one bit of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		b[len(b)/2] ^= 4
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// again starts a host anew, after what was done to its folder.
func (h *host) again(t *testing.T, harm func()) *Swarm {
	t.Helper()
	if err := h.swarm.Close(); err != nil {
		t.Fatal(err)
	}
	harm()
	cfg := h.swarm.cfg
	s := must[*Swarm](t)(Open(cfg))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	h.mu.Lock()
	h.swarm = s
	h.mu.Unlock()
	return s
}

func (h *host) damagedNow(t *testing.T) int {
	t.Helper()
	var m dto.Metric
	if err := h.swarm.cfg.Metrics.damaged.Write(&m); err != nil {
		t.Fatal(err)
	}
	return int(m.GetGauge().GetValue())
}

// A flipped bit is found at the start. The conversation is neither lost nor begun anew; a member's copy makes it whole, as
// soon as a member is there.
func TestRepairAtStart(t *testing.T) {
	w := newWorld(t, 3)
	all := w.group(2)
	ours := must[repo.Entry](t)(all[0].Say(commit.Text("one of many")))
	agree(t, all...)
	id, head := all[0].ID(), all[0].repo.Head()
	w.cutAll(true)
	h := w.hosts[0]
	found, repaired := make(chan Damaged, 10), make(chan *Conversation, 10)
	h.swarm.cfg.OnDamaged = func(d Damaged) { found <- d }
	h.swarm.cfg.OnRepaired = func(c *Conversation) { repaired <- c }
	s := h.again(t, func() { flip(t, h.objectPath(all[0], ours.ID.String())) })
	s.Start()
	d := <-found
	if list := s.Damaged(); len(list) != 1 || list[0].Conversation != id || d.Conversation != id || !errors.Is(list[0].Reason, repo.ErrDamaged) || h.damagedNow(t) != 1 {
		t.Fatalf("%+v, told %+v, counted %d", list, d, h.damagedNow(t))
	}
	if s.Conversation(id) != nil {
		t.Error("it can be written to")
	}
	// A stranger's invitation to it is none, nor is there another way to begin it anew.
	stranger := w.hosts[2].peer
	s.Message(stranger, TypeInvite, []byte(`{"conversationId":"`+id+`","metadatas":{}}`))
	if n := len(s.Invitations()); n != 0 {
		t.Errorf("%d invitations", n)
	}
	if _, err := s.CloneFrom(context.Background(), stranger, id); !errors.Is(err, repo.ErrDamaged) {
		t.Error(err)
	}
	w.cutAll(false)
	s.Met(w.hosts[1].peer)
	select {
	case c := <-repaired:
		if c != s.Conversation(id) || c.repo.Head() != head || len(s.Damaged()) != 0 || h.damagedNow(t) != 0 {
			t.Errorf("%v: head %s, damaged %v", c, c.repo.Head(), s.Damaged())
		}
		must[repo.Entry](t)(c.Say(commit.Text("as before")))
		agree(t, c, all[1])
	case <-time.After(patience):
		t.Fatal("not repaired")
	}
}

// A copy that does not have all is not enough, nor fetched again and again; another one is.
func TestRepairFromWhoHasIt(t *testing.T) {
	w := newWorld(t, 3)
	all := w.group(3)
	agree(t, all...)
	w.setCut(0, 2, true)
	w.setCut(1, 2, true)
	newest := must[repo.Entry](t)(all[0].Say(commit.Text("known to two")))
	eventually.True(t, "two have it", func() bool { return all[1].repo.Has(newest.ID) })
	w.cutAll(true)
	h := w.hosts[0]
	s := h.again(t, func() { flip(t, h.objectPath(all[0], newest.ID.String())) })
	w.setCut(0, 2, false)
	s.Start()
	tried := func() int {
		n := 0
		for _, d := range s.Damaged() {
			n += d.Tried
		}
		return n
	}
	eventually.True(t, "a copy was tried", func() bool { return tried() == 1 })
	for range 3 {
		s.nudge(w.hosts[2].peer, all[0].ID())
		s.mu.Lock()
		p := s.damaged[all[0].ID()]
		s.mu.Unlock()
		if s.repairFrom(w.hosts[2].peer, all[0].ID(), p); tried() != 1 {
			t.Fatal("the same copy is fetched again at once")
		}
	}
	w.setCut(0, 1, false)
	s.Met(w.hosts[1].peer)
	eventually.True(t, "repaired", func() bool { return s.Conversation(all[0].ID()) != nil && len(s.Damaged()) == 0 })
	if c := s.Conversation(all[0].ID()); c.repo.Head() != newest.ID {
		t.Errorf("the newest is %s", c.repo.Head())
	}
}

// Damage that is found while the conversation is in use is repaired as well.
func TestRepairInUse(t *testing.T) {
	w := newWorld(t, 2)
	all := w.group(2)
	ours := must[repo.Entry](t)(all[0].Say(commit.Text("one of many")))
	agree(t, all...)
	w.cutAll(true)
	w.hosts[0].swarm.Start()
	flip(t, w.hosts[0].objectPath(all[0], ours.ID.String()))
	if _, err := all[0].Entry(ours.ID); !errors.Is(err, repo.ErrDamaged) || all[0].Damaged() == nil {
		t.Fatal(err)
	}
	if _, err := all[0].Say(commit.Text("x")); !errors.Is(err, repo.ErrDamaged) {
		t.Error("it is written to", err)
	}
	eventually.True(t, "it is listed", func() bool { return len(w.hosts[0].swarm.Damaged()) == 1 })
	w.cutAll(false)
	must[repo.Entry](t)(all[1].Say(commit.Text("meanwhile"))) // what is announced has it repaired
	eventually.True(t, "repaired", func() bool { return all[0].Damaged() == nil && len(w.hosts[0].swarm.Damaged()) == 0 })
	must[repo.Entry](t)(all[0].Entry(ours.ID))
	agree(t, all...)
}

// On a full disk nothing is acknowledged, told to anybody, or lost; a file that could not be announced is not offered.
func TestFullDisk(t *testing.T) {
	w := newWorld(t, 2)
	all := w.group(2)
	must[repo.Entry](t)(all[0].Say(commit.Text("before")))
	agree(t, all...)
	head := all[0].repo.Head()
	film := w.hosts[0].file("film", []byte("film"))
	// A file in the place of the folder of objects takes nothing, whoever asks.
	objects := filepath.Join(w.hosts[0].dir, all[0].ID(), "objects")
	away := objects + ".away"
	if err := errors.Join(os.Rename(objects, away), os.WriteFile(objects, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := all[0].Say(commit.Text("lost")); err == nil {
		t.Error("acknowledged")
	}
	if _, err := all[0].SendFile(film); err == nil {
		t.Error("a file is acknowledged")
	}
	if err := errors.Join(os.Remove(objects), os.Rename(away, objects)); err != nil {
		t.Fatal(err)
	}
	if all[0].repo.Head() != head || len(all[0].files.files) != 0 {
		t.Errorf("head %s, files %v", all[0].repo.Head(), all[0].files.files)
	}
	must[repo.Entry](t)(all[0].Say(commit.Text("after")))
	must[repo.Entry](t)(all[0].SendFile(film))
	agree(t, all...)
	if got := said(t, all[1]); got != "after|before" {
		t.Error(got)
	}
	// And an index that cannot be written: the file is not announced.
	shelf := all[0].files.path
	if err := errors.Join(os.Remove(shelf), os.Mkdir(shelf, 0o700), os.WriteFile(filepath.Join(shelf, "x"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	head = all[0].repo.Head()
	if _, err := all[0].SendFile(film); err == nil || all[0].repo.Head() != head || len(all[0].files.files) != 1 {
		t.Errorf("%v: head %s, files %v", err, all[0].repo.Head(), all[0].files.files)
	}
}

// A list of offered files that is damaged is put aside.
func TestDamagedFileIndex(t *testing.T) {
	path := filepath.Join(t.TempDir(), "files.json")
	if err := os.WriteFile(path, []byte(`{"a":"b`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := openFileIndex(path)
	if err == nil || s == nil {
		t.Fatal(s, err)
	}
	if err := s.set("x", "y"); err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(path + ".damaged"); err != nil || !strings.HasPrefix(string(kept), `{"a"`) {
		t.Errorf("%s, %v", kept, err)
	}
	if s, err = openFileIndex(path); err != nil || s.files["x"] != "y" {
		t.Error(s.files, err)
	}
}
