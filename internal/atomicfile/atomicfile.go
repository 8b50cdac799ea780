// Package atomicfile changes files and folders so that a reader, and the next start after a crash or
// a power cut, sees either what was before or what is after, never half of it. What a function has done when it
// returns without an error stays done. It is the one way in which this program replaces, renames and removes what must last.
package atomicfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// temporary is how the names of files end that are being written; before it, the name they will have and a number.
const temporary = ".tmp"

// Write replaces the file at path: a temporary file beside it is written, synced and renamed over it, and the folder
// is synced. The error is the system's; the file is then as it was, unless it was the folder that could not be
// synced: it may be either.
func Write(path string, data []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"+temporary)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Chmod(mode); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// WriteJSON writes v, indented. It fails for what encoding/json does not take, and as Write does.
func WriteJSON(path string, v any, mode os.FileMode) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return Write(path, append(data, '\n'), mode)
}

// Rename gives a file or folder another name, in the same file system. What is in it must have been synced. The error
// is the system's; after one of syncing, either name may be there after a crash.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if err := SyncDir(filepath.Dir(to)); err != nil {
		return err
	}
	if filepath.Dir(from) == filepath.Dir(to) {
		return nil
	}
	return SyncDir(filepath.Dir(from))
}

// Remove removes a file or an empty folder. The error is the system's: fs.ErrNotExist if it was not there.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// MkdirAll makes a folder and those it is in, as far as they are missing. The error is the system's; some of them may
// have been made.
func MkdirAll(path string, mode os.FileMode) error {
	path = filepath.Clean(path)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	} else if err == nil {
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	}
	if parent := filepath.Dir(path); parent != path {
		if err := MkdirAll(parent, mode); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, mode); err != nil {
		info, e := os.Stat(path)
		if !errors.Is(err, fs.ErrExist) || e != nil || !info.IsDir() { // a folder that somebody else has made meanwhile will do
			return err
		}
	}
	return SyncDir(filepath.Dir(path))
}

// SyncName makes the name of a file last that was made. The error is the system's.
func SyncName(path string) error { return SyncDir(filepath.Dir(path)) }

// SyncDir makes the names in a folder last: of files that were made, renamed or removed there. The error is the
// system's.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Tidy removes what a crash has left of files that were being written in a folder. A folder that is not there is no
// error; files that cannot be removed are all named in it.
func Tidy(dir string) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), ".") && strings.HasSuffix(e.Name(), temporary) && e.Type().IsRegular() {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}
