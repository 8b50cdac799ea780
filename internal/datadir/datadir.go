// Package datadir is the one folder in which a host keeps its state. A lock
// keeps a second host out of it.
package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"rendezvous/internal/atomicfile"
)

// Dir is a data folder that this process holds.
type Dir struct {
	path string
	lock *os.File
}

// SocketName is the file of the socket on which the running host answers.
const SocketName = "host.sock"

const lockName = "lock"

// Used tells whether a host has had its data in the folder. One that may not be looked into counts as such.
func Used(path string) bool {
	_, err := os.Stat(filepath.Join(path, lockName))
	return err == nil || errors.Is(err, fs.ErrPermission)
}

// Open makes the folder if it is missing and takes its lock. The folder is for the owner
// alone: it holds private keys. It fails if another process has the lock, which the error
// names, and as the system does.
func Open(path string) (*Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", path, err)
	}
	if err := atomicfile.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(abs, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer lock.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data folder %s: locking: %w", path, err)
		}
		holder, _ := os.ReadFile(lock.Name())
		return nil, fmt.Errorf("data folder %s: another host (process %s) is using it", path, strings.TrimSpace(string(holder)))
	}
	// The process id is for people; the lock alone decides, and the system drops it
	// when the process ends, however it ends.
	err = lock.Truncate(0)
	if err == nil {
		_, err = lock.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("data folder %s: %w", path, err)
	}
	return &Dir{path: abs, lock: lock}, nil
}

// Path is a file or folder in the data folder; an absolute name stays as it is.
func (d *Dir) Path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.path, name)
}

// Make makes a folder in the data folder, for the owner alone, and returns its path. It
// fails only as the system does.
func (d *Dir) Make(name string) (string, error) {
	path := d.Path(name)
	if err := atomicfile.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	return path, nil
}

// Close gives the folder free for another process. The error is the system's.
func (d *Dir) Close() error { return d.lock.Close() }
