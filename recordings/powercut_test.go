package recordings

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/recordings/sealed"
)

// fickle is a disk that forgets what was not synced, and syncs as it is told.
type fickle struct {
	sync func() error // nil: at once

	mu     sync.Mutex // guards what follows
	files  []*fickleFile
	synced int
}

type fickleFile struct {
	output
	disk    *fickle
	path    string
	written int64
	kept    int64 // of it, after a power cut
}

func (d *fickle) create(path string) (output, error) {
	f, err := newFile(path)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files = append(d.files, &fickleFile{output: f, disk: d, path: path})
	return d.files[len(d.files)-1], nil
}

func (f *fickleFile) Write(p []byte) (int, error) {
	n, err := f.output.Write(p)
	f.disk.mu.Lock()
	f.written += int64(n)
	f.disk.mu.Unlock()
	return n, err
}

func (f *fickleFile) Sync() error {
	f.disk.mu.Lock()
	upTo := f.written
	f.disk.mu.Unlock()
	if f.disk.sync != nil {
		if err := f.disk.sync(); err != nil {
			return err
		}
	}
	f.disk.mu.Lock()
	f.kept = upTo
	f.disk.synced++
	f.disk.mu.Unlock()
	return f.output.Sync()
}

func (d *fickle) writtenTo(i int) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.files[i].written
}

// cut returns a copy of a folder as it is after a power cut now.
func (d *fickle) cut(t *testing.T, dir string) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "after")
	require.NoError(t, os.CopyFS(copied, os.DirFS(dir)))
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.files {
		rel, err := filepath.Rel(dir, f.path)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(filepath.Join(copied, rel), f.kept))
	}
	return copied
}

// A power cut costs what recordings.fragment and syncEvery say, and with files that are sealed a fragment more, at
// whatever moment it comes; tracks too.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { testPowerCut(t, kind.keys) }) })
	}
}

func testPowerCut(t *testing.T, keys sealed.Keyring) {
	dir := t.TempDir()
	lib := Open(Config{Log: quiet(), Dir: dir, Keys: keys})
	d := &fickle{}
	lib.disk.make = d.create
	r, voice := newRoom(t), newRoom(t)
	defer r.Close()
	defer voice.Close()
	rec, err := lib.Start(request())
	require.NoError(t, err)
	ann := rec.Track("p1", "Ann")
	begin := time.Now()
	lost := time.Second + syncEvery
	if keys != nil {
		lost += time.Second
	}
	copies := map[string]time.Duration{}
	for n := range 500 {
		require.NoError(t, r.Tick(rec, n))
		p, err := voice.Sound()
		require.NoError(t, err)
		ann.WritePacket(p, ann.Format())
		time.Sleep(20 * time.Millisecond)
		if n >= 250 && n%83 == 0 {
			synctest.Wait() // nothing is on its way
			copies[d.cut(t, dir)] = time.Since(begin)
		}
	}
	require.NoError(t, rec.Stop())
	require.NoError(t, lib.Close())
	require.LessOrEqual(t, d.synced, 2*(10+3), "not more often than is said")
	for copied, lasted := range copies {
		again := open(t, copied, withKeys(keys))
		list := again.List("main")
		require.Len(t, list, 1)
		e := list[0]
		require.Equal(t, Recovered, e.State, e.Error)
		require.Greater(t, e.Duration, (lasted - lost - 150*time.Millisecond).Seconds(), "of %v", lasted)
		path := inTheClear(t, again, e.ID, "")
		decodes(t, path)
		require.Len(t, e.Files, 2)
		track := probe(t, inTheClear(t, again, e.ID, e.Files[1].Name))
		require.Greater(t, track.lasts(t, 0), (lasted - lost - time.Second).Seconds(), "the track, of %v", lasted)
	}
}

// A disk that takes its time to sync holds up neither the mixer nor the writer.
func TestSlowSync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lib := Open(Config{Log: quiet(), Dir: t.TempDir()})
		release := make(chan struct{})
		d := &fickle{sync: func() error { <-release; return nil }}
		lib.disk.make = d.create
		r := newRoom(t)
		defer r.Close()
		rec, err := lib.Start(request())
		require.NoError(t, err)
		var at []int64
		for n := range 600 {
			require.NoError(t, r.Tick(rec, n))
			time.Sleep(20 * time.Millisecond)
			if n%150 == 149 {
				synctest.Wait()
				at = append(at, d.writtenTo(0))
			}
		}
		require.Zero(t, d.synced)
		for i := 1; i < len(at); i++ {
			require.Greater(t, at[i], at[i-1], "the film grows: %v", at)
		}
		require.Zero(t, rec.queue.drops())
		close(release)
		require.NoError(t, rec.Stop())
		require.NoError(t, lib.Close())
	})
}

// What cannot be synced is a failure of the recording, and not kept from anybody.
func TestSyncFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lib := Open(Config{Log: quiet(), Dir: t.TempDir()})
		broken := errors.New("input/output error")
		var d *fickle
		d = &fickle{sync: func() error {
			if d.synced < 3 {
				return nil
			}
			return broken
		}}
		lib.disk.make = d.create
		r := newRoom(t)
		defer r.Close()
		rec, err := lib.Start(request())
		require.NoError(t, err)
		for n := range 400 {
			require.NoError(t, r.Tick(rec, n))
			time.Sleep(20 * time.Millisecond)
		}
		synctest.Wait()
		select {
		case err := <-rec.Failed():
			require.ErrorIs(t, err, broken)
			require.ErrorContains(t, err, "syncing meeting.mp4")
		default:
			t.Fatal("nobody was told")
		}
		require.NoError(t, rec.Stop())
		e, err := lib.Get(rec.ID())
		require.NoError(t, err)
		require.Equal(t, Failed, e.State)
		require.Greater(t, e.Duration, 2.0)
		require.NoError(t, lib.Close())
	})
}

// The end of a recording need not read the film again: its hash is made as it is written.
func TestHashesAreMadeWhileRecording(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			dir := t.TempDir()
			e := recorded(t, dir, kind.keys, 2*time.Second)
			d := disk{keys: kind.keys}
			size, sum, err := d.hash(t.Context(), filepath.Join(dir, "main", e.ID, meetingFile), nil)
			require.NoError(t, err)
			require.Equal(t, e.Files[0].SHA3, sum)
			require.Equal(t, e.Files[0].Size, size)
		})
	}
}
