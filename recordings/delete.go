package recordings

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"rendezvous/internal/atomicfile"
)

// hiddenPrefix is how the names of the folders begin that are about to be removed.
const hiddenPrefix = ".deleted-"

// Delete removes a recording and its files. It is deleted once the catalogue on the disk says so: if the disk refuses that,
// everything is as before. Files that cannot be removed after it are an error too, but the next start removes them.
func (l *Library) Delete(id string) error {
	dir, err := l.strike(id)
	if err != nil {
		return err
	}
	err = l.hide(dir)
	if err == nil {
		err = l.removeHidden(id)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist): // a folder that is away; should it come back, it is removed
		return nil
	case err != nil:
		return fmt.Errorf("recording %s is deleted, but its files cannot be removed yet: %w", id, err)
	}
	_ = atomicfile.Remove(filepath.Dir(dir)) // the room's folder, if it is empty now
	return nil
}

// strike takes a recording out of the catalogue and returns its folder.
func (l *Library) strike(id string) (dir string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	switch {
	case e == nil:
		return "", ErrNotFound
	case l.running[id] != nil:
		return "", ErrRunning
	case l.mending(id):
		return "", ErrRecovering
	}
	entries, deleted, gone := maps.Clone(l.entries), maps.Clone(l.deleted), maps.Clone(l.gone)
	l.drop(e)
	l.gone[id] = true
	if ids := slices.Sorted(maps.Keys(l.gone)); len(ids) > maxDeleted {
		delete(l.gone, ids[0])
	}
	if err := l.save(); err != nil {
		l.entries, l.deleted, l.gone = entries, deleted, gone
		return "", fmt.Errorf("deleting recording %s: %w", id, err)
	}
	delete(l.missing, id)
	l.count()
	return l.folder(e), nil
}

// hide moves the folder of a deleted recording out of sight, so that a crash while it is being removed
// does not bring half of it back, whatever becomes of the catalogue.
func (l *Library) hide(dir string) error {
	return atomicfile.Rename(dir, filepath.Join(l.cfg.Dir, hiddenPrefix+filepath.Base(dir)))
}

// removeHidden removes a folder that was hidden.
func (l *Library) removeHidden(id string) error {
	if err := os.RemoveAll(filepath.Join(l.cfg.Dir, hiddenPrefix+id)); err != nil {
		return err
	}
	if err := atomicfile.SyncDir(l.cfg.Dir); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone[id] {
		delete(l.gone, id) // whoever puts the folder back from a backup wants it
		if err := l.save(); err != nil {
			l.log.Error("catalogue cannot be written", "error", err)
		}
	}
	return nil
}

// removeFolder removes the folder of a recording of nothing, which the catalogue does not know any more.
func (l *Library) removeFolder(dir string) {
	err := os.RemoveAll(dir)
	if err == nil {
		err = atomicfile.SyncDir(filepath.Dir(dir))
	}
	if err != nil {
		l.log.Warn("folder of an empty recording cannot be removed", "path", dir, "error", err)
	}
}
