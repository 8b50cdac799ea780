package recordings

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"rendezvous/recordings/sealed"
)

// maxKey bounds keys, bytes: a room's name, an id and a file's name, at most 63, 25 and 255.
const maxKey = 63 + 1 + 25 + 1 + 255

// Key names one of the recording's files to others, who remember it: "ROOM/ID/NAME". Unlike a path it is the same wherever
// the folder of the recordings is. OpenKey opens it.
func (e *Entry) Key(name string) string { return e.Room + "/" + e.ID + "/" + name }

// OpenKey opens a file by its key for reading in the clear, as OpenFile does. A key that is malformed, or names what is no file
// of the recording, is ErrNotFound. The caller closes it.
func (l *Library) OpenKey(key string) (io.ReadSeekCloser, error) {
	room, id, name, ok := parseKey(key)
	if !ok {
		return nil, fmt.Errorf("%w: malformed key %.80q", ErrNotFound, key)
	}
	e, err := l.Get(id)
	if err == nil && e.Room != room {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	f, _, err := l.OpenFile(id, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return f, nil
}

// parseKey takes a key apart. No part leads out of a folder.
func parseKey(key string) (room, id, name string, ok bool) {
	if len(key) > maxKey {
		return "", "", "", false
	}
	parts := strings.Split(key, "/")
	if len(parts) != 3 {
		return "", "", "", false
	}
	room, id, name = parts[0], parts[1], parts[2]
	return room, id, name, validRoom.MatchString(room) && validID.MatchString(id) && name != "" && name[0] != '.'
}

// Hashed returns one of a recording's files, by the name that OpenFile takes, with its size and SHA3-512. Those of film and tracks are
// known since they were written; where that has failed, the file is read for them, once, as the catalogue keeps them. Sidecar and
// chapters, which are small, are read each time. It ends with ctx. The errors are OpenFile's, ErrDamaged also for what cannot be decrypted
// to its end, and ErrRunning or ErrRecovering for a recording that is not finished.
func (l *Library) Hashed(ctx context.Context, id, name string) (File, error) {
	e, err := l.Get(id)
	switch {
	case err != nil:
	case e.State == Running:
		err = ErrRunning
	case e.State == Recovering || e.unfinished():
		err = ErrRecovering
	}
	if err != nil {
		return File{}, err
	}
	in, file, err := l.OpenFile(id, name)
	if err == nil {
		defer in.Close()
		if file.SHA3 != "" {
			return file, nil
		}
		old := file
		if file.Size, file.SHA3, err = hashOf(ctx, in, nil); err == nil {
			return file, l.keepHash(id, old, file)
		}
	}
	if errors.Is(err, sealed.ErrDamaged) || errors.Is(err, sealed.ErrTruncated) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return File{}, fmt.Errorf("hashing %s: %w", e.Key(name), err)
}

// keepHash notes the hash of a file in the catalogue, unless the file has changed since it was opened.
func (l *Library) keepHash(id string, old, now File) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	if e == nil {
		return ErrNotFound
	}
	if l.mending(id) {
		return ErrRecovering
	}
	i := slices.IndexFunc(e.Files, func(f File) bool { return f.Name == old.Name })
	if i < 0 { // sidecar and chapters are in no list of files
		return nil
	}
	if e.Files[i] != old {
		return ErrRecovering
	}
	e.Files = slices.Clone(e.Files) // others may have it
	e.Files[i] = now
	if err := l.save(); err != nil {
		l.log.Error("catalogue cannot be written", "error", err)
	}
	return nil
}
