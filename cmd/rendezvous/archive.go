package main

import (
	"context"
	"path/filepath"
	"time"

	"rendezvous/recordings"
	"rendezvous/signalling/jami"
	"rendezvous/signalling/jami/minutes"
)

// archive gives finished recordings to the members of the rooms' conversations. It is a
// recordings.Archive.
type archive struct{ jami *jami.Door }

// Store implements recordings.Archive.
func (a archive) Store(ctx context.Context, e recordings.Entry, dir string) (ref string, err error) {
	m := a.jami.Minutes(e.Room)
	if m == nil && a.jami.Pending(e.Room) {
		return "", minutes.ErrNotOpen
	}
	if m == nil || len(e.Files) == 0 {
		return "", nil // a room without a conversation, or one that is no more
	}
	film := e.Files[0]
	return m.Keep(ctx, minutes.Recording{
		Name:    e.Title + " " + e.Started.In(time.Local).Format("2006-01-02 15.04.05"),
		Meeting: filepath.Join(dir, film.Name), SHA3: film.SHA3, Sidecar: filepath.Join(dir, "meeting.json"),
	})
}

// Forget implements recordings.Archive.
func (a archive) Forget(_ context.Context, e recordings.Entry) error {
	m := a.jami.Minutes(e.Room)
	if m == nil && a.jami.Pending(e.Room) {
		return minutes.ErrNotOpen
	}
	if m == nil {
		return nil
	}
	return m.Forget(e.Archived)
}
