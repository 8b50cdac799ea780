package repo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"rendezvous/swarm/commit"
)

// tape is a disk that writes down what is done, and after some steps is cut off, so that nothing is done any more, or
// is full for the one step that comes then.
type tape struct {
	onDisk
	dir   string
	steps []string
	until int // steps that succeed before; -1: all do
	once  bool
	spent bool // once: it has failed
}

func (d *tape) step(what, path string, do func() error) error {
	if d.until >= 0 && len(d.steps) >= d.until && !d.spent {
		d.spent = d.once
		return &os.PathError{Op: what, Path: path, Err: syscall.ENOSPC}
	}
	if rel, err := filepath.Rel(d.dir, path); err == nil {
		path = rel
	}
	if strings.HasSuffix(path, ".tmp") {
		path = "temporary"
	}
	d.steps = append(d.steps, what+" "+path)
	return do()
}

func (d *tape) MkdirAll(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	return d.step("mkdir", path, func() error { return d.onDisk.MkdirAll(path) })
}

func (d *tape) Write(path string, data []byte) error {
	return d.step("write", path, func() error { return d.onDisk.Write(path, data) })
}

func (d *tape) Sync(f *os.File) error {
	return d.step("sync", f.Name(), func() error { return d.onDisk.Sync(f) })
}

func (d *tape) Rename(from, to string) error {
	return d.step("rename", to, func() error { return d.onDisk.Rename(from, to) })
}

func (d *tape) Forget(path string) error {
	return d.step("forget", path, func() error { return d.onDisk.Forget(path) })
}

// record has a repository write on a tape.
func record(r *Repository, until int) *tape {
	d := &tape{dir: r.store.dir, until: until}
	r.store.disk = d
	return d
}

// kinds shortens what is on a tape to its steps, without names that are hashes.
func (d *tape) kinds() []string {
	var out []string
	for _, s := range d.steps {
		what, path, _ := strings.Cut(s, " ")
		switch {
		case strings.HasSuffix(path, ".pack"):
			path = "pack"
		case strings.HasSuffix(path, ".idx"):
			path = "index"
		case strings.HasPrefix(path, "objects/"):
			path = "object"
		}
		out = append(out, what+" "+path)
	}
	return out
}

// A message is on the disk before the branch names it, and costs two files.
func TestSayIsDurable(t *testing.T) {
	a := create(t, alice, commit.InvitesOnly, nil)
	for i := range 5 {
		d := record(a, -1)
		must[Entry](t)(a.Say(commit.Text(fmt.Sprint(i))))
		got := slices.DeleteFunc(d.kinds(), func(s string) bool { return s == "mkdir object" }) // of 256 folders
		if want := []string{"write object", "write refs/heads/main"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What was fetched is on the disk before the branch names it, also as a pack.
func TestFetchedIsDurable(t *testing.T) {
	a := create(t, alice, commit.InvitesOnly, nil)
	b := member(t, a, bob)
	for i := range packFrom {
		must[Entry](t)(a.Say(commit.Text(fmt.Sprint(i))))
	}
	d := record(b, -1)
	pull(t, b, a)
	if got, want := d.kinds(), []string{"sync temporary", "write index", "rename pack", "write refs/heads/main"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	check(t, b)
}

// However far putting objects together comes until the power is cut, none is lost: their files go when the pack is
// on the disk.
func TestPowerCutWhilePacking(t *testing.T) {
	const messages = 8
	a := create(t, alice, commit.InvitesOnly, nil)
	for i := range messages {
		must[Entry](t)(a.Say(commit.Text(fmt.Sprint(i))))
	}
	want := fmt.Sprint(must[[]Entry](t)(a.Log(0)))
	dir := a.store.dir
	var all []string
	for cut := 0; ; cut++ {
		copied := filepath.Join(t.TempDir(), "conversation")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		r := must[*Repository](t)(Open(copied, author(alice), a.now))
		d := record(r, cut)
		err := r.store.compact(t.Context(), 2)
		all = d.kinds()
		again, e := Open(copied, author(alice), a.now)
		if e != nil {
			t.Fatalf("cut after %q: %v", all, e)
		}
		if got := fmt.Sprint(must[[]Entry](t)(again.Log(0))); got != want || again.Head() != a.Head() {
			t.Errorf("cut after %q something is missing", all)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		if left, err := filepath.Glob(filepath.Join(copied, "objects/pack/.*")); err != nil || len(left) > 0 {
			t.Errorf("cut after %q, and opened again: %q is left", all, left)
		}
	}
	if begin := []string{"sync temporary", "write index", "rename pack", "forget object"}; len(all) < messages+len(begin) || !slices.Equal(all[:4], begin) {
		t.Errorf("%q, want first %q", all, begin)
	}
}

// When the disk is full, what is said is an error, and all is as before: in memory, on the disk, and when there is room again.
func TestFullDiskLosesNothing(t *testing.T) {
	a := create(t, alice, commit.InvitesOnly, nil)
	must[Entry](t)(a.Say(commit.Text("before")))
	head, log := a.Head(), fmt.Sprint(must[[]Entry](t)(a.Log(0)))
	for name, do := range map[string]func() (Entry, error){
		"a message":   func() (Entry, error) { return a.Say(commit.Text("lost")) },
		"invitation":  func() (Entry, error) { return a.Invite(account(bob)) },
		"the profile": func() (Entry, error) { return a.SetProfile(Profile{Title: "lost"}) },
		"what comes first fails": func() (Entry, error) {
			return a.SayAfter(commit.Text("lost"), func(Entry) error { return syscall.ENOSPC })
		},
	} {
		for room := range 6 {
			d := record(a, room)
			d.once = true // what is smaller may have room
			_, err := do()
			if err == nil {
				if name == "what comes first fails" || !slices.Contains(d.kinds(), "write refs/heads/main") {
					t.Errorf("%s, with room for %q, is acknowledged", name, d.kinds())
				}
				// It was done with this much room: begin anew from the same.
				a = must[*Repository](t)(Open(a.store.dir, author(alice), a.now))
				head, log = a.Head(), fmt.Sprint(must[[]Entry](t)(a.Log(0)))
				break
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("%s: %v", name, err)
			}
			again := must[*Repository](t)(Open(a.store.dir, author(alice), a.now))
			if notes := again.Notes(); len(notes) > 0 {
				t.Errorf("%s, with room for %q: %v", name, d.kinds(), notes)
			}
			for where, r := range map[string]*Repository{"here": a, "on the disk": again} {
				if r.Head() != head || fmt.Sprint(must[[]Entry](t)(r.Log(0))) != log || len(r.k.graph) != len(r.Linearised()) {
					t.Errorf("%s, with room for %q: %s it is not as before", name, d.kinds(), where)
				}
			}
		}
	}
	record(a, -1)
	must[Entry](t)(a.Say(commit.Text("after")))
	check(t, a)
}

// A folder that can be read but not put in order is opened all the same.
func TestOpenOnAFullDisk(t *testing.T) {
	a := create(t, alice, commit.InvitesOnly, nil)
	d := &tape{dir: a.store.dir, until: 0}
	st := must[*store](t)(openStore(a.store.dir, false))
	st.disk = d
	if err := st.compact(t.Context(), 1); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	check(t, a)
}
