package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"rendezvous/conference"
	"rendezvous/mixer"
	"rendezvous/mixer/ladder"
	"rendezvous/recordings"
	"rendezvous/signalling/web/control"
)

// recorder lets rooms record into the library. It is a conference.Recorder.
type recorder struct {
	library *recordings.Library
	best    ladder.Rung
	tracks  func(room string) bool // whether each participant's sound is kept too
}

// Start implements conference.Recorder.
func (r *recorder) Start(_ context.Context, q conference.RecordingRequest) (conference.Recording, error) {
	rec, err := r.library.Start(recordings.Request{
		Room: q.Room, Title: q.Title, By: q.By, Width: r.best.Width, Height: r.best.Height, People: people(q.Info),
	})
	if err != nil {
		return nil, err
	}
	q.Mixer.AddRecorder(rec, rec)
	t := &tape{Recording: rec, library: r.library, mixer: q.Mixer}
	if r.tracks(q.Room) {
		t.tracks = map[string]*recordings.Track{}
		t.follow(q.Info)
	}
	return t, nil
}

// tape is a recording that is attached to a room's mixer.
type tape struct {
	*recordings.Recording
	library *recordings.Library
	mixer   *mixer.Mixer
	tracks  map[string]*recordings.Track // of those present; nil: none are kept
}

// Info implements conference.Recording.
func (t *tape) Info(info *conference.Info) {
	t.Update(people(info))
	t.follow(info)
}

// follow attaches a track to whoever has come and takes away those of who has left.
func (t *tape) follow(info *conference.Info) {
	if t.tracks == nil {
		return
	}
	here := map[string]bool{}
	for _, p := range people(info) {
		here[p.ID] = true
		if t.tracks[p.ID] == nil {
			t.tracks[p.ID] = t.Track(p.ID, p.Name)
			t.mixer.AddTap(p.ID, t.tracks[p.ID])
		}
	}
	for id, track := range t.tracks {
		if !here[id] {
			t.mixer.RemoveTap(track)
			delete(t.tracks, id)
		}
	}
}

// Stop implements conference.Recording.
func (t *tape) Stop() error {
	for _, track := range t.tracks {
		t.mixer.RemoveTap(track)
	}
	t.mixer.RemoveRecorder(t.Recording, t.Recording)
	err := t.Recording.Stop()
	if _, lost := t.library.Get(t.ID()); err == nil && errors.Is(lost, recordings.ErrNotFound) {
		return conference.ErrNothingRecorded
	}
	return err
}

// people are those who are in the room itself, not in its lobby.
func people(info *conference.Info) []recordings.Person {
	if info == nil {
		return nil
	}
	var out []recordings.Person
	for _, p := range info.Participants {
		if !p.Waiting {
			out = append(out, recordings.Person{ID: p.ID, Name: p.Name, Door: p.Door, Talking: p.Talking})
		}
	}
	return out
}

// catalogue shows the library on the page and in the control API.
type catalogue struct{ library *recordings.Library }

// List implements control.Recordings.
func (c catalogue) List(_ context.Context, room string) ([]control.Recording, error) {
	out := []control.Recording{}
	for _, e := range c.library.List(room) {
		out = append(out, control.Recording{
			ID: e.ID, Room: e.Room, Title: e.Title, Started: e.Started, Duration: e.Duration, Size: e.Size,
			Type: e.Files[0].Type, Live: e.State == recordings.Running, State: string(e.State), Error: e.Error,
		})
	}
	return out, nil
}

// Open implements control.Recordings.
func (c catalogue) Open(_ context.Context, room, id string) (*control.File, error) {
	e, err := c.find(room, id)
	if err != nil {
		return nil, err
	}
	f, file, err := c.library.OpenFile(id, "")
	if err != nil {
		return nil, translate(err)
	}
	changed := e.Ended
	if info, err := f.Stat(); err == nil {
		changed = info.ModTime()
	}
	return &control.File{
		ReadSeekCloser: f, Type: file.Type, Changed: changed,
		Name: e.Room + "-" + e.Started.Format("2006-01-02-150405") + ".mp4",
	}, nil
}

// ChapterTrack implements web.Recordings.
func (c catalogue) ChapterTrack(_ context.Context, room, id string) (*control.File, error) {
	e, err := c.find(room, id)
	if err != nil {
		return nil, err
	}
	f, file, err := c.library.OpenFile(id, recordings.ChaptersFile)
	if err != nil {
		return nil, translate(err)
	}
	return &control.File{ReadSeekCloser: f, Type: file.Type, Changed: e.Ended, Name: file.Name}, nil
}

// Rename implements web.Recordings.
func (c catalogue) Rename(_ context.Context, room, id, name string) error {
	if _, err := c.find(room, id); err != nil {
		return err
	}
	err := c.library.Rename(id, name)
	if errors.Is(err, recordings.ErrName) {
		return fmt.Errorf("%w: %w", control.ErrConflict, err)
	}
	return translate(err)
}

// Chapters implements control.Recordings.
func (c catalogue) Chapters(_ context.Context, room, id string) ([]control.Chapter, error) {
	e, err := c.find(room, id)
	if err != nil || e.State == recordings.Running {
		return nil, err
	}
	s, err := c.library.Sidecar(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the folder of the recording is missing", control.ErrNotFound)
	}
	if err != nil {
		return nil, translate(err)
	}
	var list []control.Chapter
	for _, ch := range s.Chapters {
		list = append(list, control.Chapter(ch))
	}
	return list, nil
}

// Delete implements control.Recordings.
func (c catalogue) Delete(_ context.Context, room, id string) error {
	if _, err := c.find(room, id); err != nil {
		return err
	}
	err := c.library.Delete(id)
	if errors.Is(err, recordings.ErrRunning) || errors.Is(err, recordings.ErrRecovering) {
		return fmt.Errorf("%w: %w", control.ErrConflict, err)
	}
	return translate(err)
}

// find keeps rooms apart: an id of another room's recording is not found.
func (c catalogue) find(room, id string) (recordings.Entry, error) {
	e, err := c.library.Get(id)
	if err == nil && e.Room != room {
		err = recordings.ErrNotFound
	}
	return e, translate(err)
}

func translate(err error) error {
	if errors.Is(err, recordings.ErrNotFound) || errors.Is(err, recordings.ErrDamaged) { // there is nothing to be played; the text says why
		return fmt.Errorf("%w: %w", control.ErrNotFound, err)
	}
	return err
}

// roomsChanged lets the Jami door open and close accounts.
func (h *house) roomsChanged() {
	if h.jami != nil {
		h.syncing.Go(func() { h.jami.Sync(context.Background()) })
	}
}
