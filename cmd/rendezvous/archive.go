package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"rendezvous/recordings"
	"rendezvous/signalling/jami"
	"rendezvous/signalling/jami/roomlog"
	"rendezvous/swarm"
)

// archive gives finished recordings to the members of the rooms' conversations. It is a
// recordings.Archive.
type archive struct {
	jami    *jami.Door
	library *recordings.Library
}

// Store implements recordings.Archive.
func (a archive) Store(ctx context.Context, e recordings.Entry) (ref string, err error) {
	m := a.jami.RoomLog(e.Room)
	if m == nil && a.jami.Pending(e.Room) {
		return "", roomlog.ErrNotOpen
	}
	if m == nil || len(e.Files) == 0 {
		return "", nil // a room without a conversation, or one that is no more
	}
	var r roomlog.Recording
	if r.Film, err = a.file(ctx, e, e.Files[0].Name); err != nil {
		return "", err
	}
	r.Sidecar, err = a.file(ctx, e, "meeting.json")
	if err != nil && !errors.Is(err, recordings.ErrNotFound) && !errors.Is(err, recordings.ErrDamaged) { // without those the film is told alone
		return "", err
	}
	return m.Keep(ctx, r)
}

// file is one of a recording's files as its members see it.
func (a archive) file(ctx context.Context, e recordings.Entry, name string) (swarm.File, error) {
	f, err := a.library.Hashed(ctx, e.ID, name)
	if err != nil {
		return swarm.File{}, err
	}
	title := e.Title + " " + e.Started.In(time.Local).Format("2006-01-02 15.04.05")
	return swarm.File{Name: title + filepath.Ext(name), Key: e.Key(name), Size: f.Size, SHA3: f.SHA3}, nil
}

// Forget implements recordings.Archive.
func (a archive) Forget(_ context.Context, e recordings.Entry) error {
	m := a.jami.RoomLog(e.Room)
	if m == nil && a.jami.Pending(e.Room) {
		return roomlog.ErrNotOpen
	}
	if m == nil {
		return nil
	}
	return m.Forget(e.Archived)
}
