package repo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/swarm/commit"
	"rendezvous/swarm/pack"
)

// hasty is a disk that does not wait for what is written.
type hasty struct{ onDisk }

func (hasty) MkdirAll(path string) error           { return os.MkdirAll(path, folderMode) }
func (hasty) Write(path string, data []byte) error { return os.WriteFile(path, data, fileMode) }

// grow adds n messages to a conversation by hand, which takes a fifth of the time that saying them does: signed, and in files of
// their own as a host has them, or in one pack.
func grow(tb testing.TB, r *Repository, n int, packed bool) {
	tb.Helper()
	head := r.Head()
	tree := r.k.graph[head].tree
	var objects []pack.Object
	for i := range n {
		c, err := draft(r.author, r.now, tree, commit.Text(fmt.Sprintf("message number %d of a long conversation", i)).Text(), head).Sign(r.author.Identity.Key)
		if err != nil {
			tb.Fatal(err)
		}
		objects = append(objects, pack.Object{Type: plumbing.CommitObject, Data: c.Raw()})
		head = c.ID
	}
	r.store.disk = hasty{}
	for _, o := range objects {
		if packed {
			break
		}
		if err := r.store.putLoose(o); err != nil {
			tb.Fatal(err)
		}
	}
	if packed {
		if err := r.store.put(objects); err != nil {
			tb.Fatal(err)
		}
	}
	if err := r.store.setHead(head); err != nil {
		tb.Fatal(err)
	}
}

// long is the folder of a conversation of n messages.
func long(tb testing.TB, n int, packed bool) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "conversation")
	r, err := Create(dir, author(alice), commit.InvitesOnly, nil, time.Now)
	if err != nil {
		tb.Fatal(err)
	}
	grow(tb, r, n, packed)
	return dir
}

// What is in many files is put together while the conversation is read and written, by us and by a program that only reads it and
// has had it open before.
func TestCompactBehind(t *testing.T) {
	const n = compactFrom + 100
	dir := long(t, n, false)
	reader, err := Open(dir, Author{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir, author(alice), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var using sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		using.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				if entries, err := r.Log(50); err != nil || len(entries) != 50 {
					t.Errorf("reading: %d entries, %v", len(entries), err)
					return
				}
				if i < 20 {
					if _, err := r.Say(commit.Text("meanwhile")); err != nil {
						t.Errorf("saying: %v", err)
						return
					}
				}
			}
		})
	}
	if err := r.Compact(t.Context()); err != nil {
		t.Error(err)
	}
	close(done)
	using.Wait()
	if ids, err := r.store.loose(); err != nil || len(ids) > 41 {
		t.Errorf("%d objects have files of their own still, %v", len(ids), err)
	}
	if _, err := r.Verify(); err != nil {
		t.Error(err)
	}
	if entries, err := reader.Log(0); err != nil || len(entries) != n+1 {
		t.Errorf("who reads it: %d entries, %v", len(entries), err)
	}
	again, err := Open(dir, author(alice), time.Now)
	if err != nil || again.Head() != r.Head() || len(again.Notes()) > 0 {
		t.Errorf("opened again: %v, %v", err, again.Notes())
	}
}

// A stop in the middle of putting together leaves all as it was.
func TestCompactStopped(t *testing.T) {
	dir := long(t, compactFrom, false)
	r, err := Open(dir, author(alice), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	before, err := r.store.loose()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r.store.disk = stopper{stop: stop}
	if err := r.Compact(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("compact: %v", err)
	}
	after, err := r.store.loose()
	if err != nil || len(after) != len(before) {
		t.Errorf("%d of %d objects, %v", len(after), len(before), err)
	}
	if list, _ := os.ReadDir(r.store.packFolder()); len(list) > 0 {
		t.Errorf("left behind: %v", list)
	}
	r.store.disk = onDisk{}
	if err := r.Compact(t.Context()); err != nil {
		t.Error(err)
	}
	if ids, _ := r.store.loose(); len(ids) > 0 {
		t.Errorf("%d objects have files of their own", len(ids))
	}
	if _, err := r.Verify(); err != nil {
		t.Error(err)
	}
}

// stopper ends what is going on when the pack's folder is made, which is before the first object is packed.
type stopper struct {
	onDisk
	stop func()
}

func (s stopper) MkdirAll(path string) error {
	s.stop()
	return s.onDisk.MkdirAll(path)
}

// BenchmarkOpenLong opens a conversation of 20,000 messages, as a host does when it starts: one that a host has written since its
// start, and one whose objects were put together.
func BenchmarkOpenLong(b *testing.B) {
	for _, packed := range []bool{false, true} {
		dir := long(b, 20_000, packed)
		b.Run(fmt.Sprintf("packed=%v", packed), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Open(dir, author(alice), time.Now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
