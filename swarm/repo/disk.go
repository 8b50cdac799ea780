package repo

import (
	"os"

	"rendezvous/internal/atomicfile"
)

// disk is how a store changes what is on the disk. What a method has done when it returns without an error outlasts a
// power cut, but for Forget. Tests have one that writes down what is done in which order, and fails when it is to.
type disk interface {
	// MkdirAll makes a folder and those it is in.
	MkdirAll(path string) error
	// Write replaces a file.
	Write(path string, data []byte) error
	// Sync makes the content of a file last that Rename is to give its name.
	Sync(f *os.File) error
	Rename(from, to string) error
	// Forget removes a file that is not needed any more: should it be there again after a power cut, no harm is done.
	Forget(path string) error
}

// files are readable and writable by the host alone.
const (
	fileMode   = 0o600
	folderMode = 0o700
)

// onDisk is the disk that there is.
type onDisk struct{}

func (onDisk) MkdirAll(path string) error           { return atomicfile.MkdirAll(path, folderMode) }
func (onDisk) Write(path string, data []byte) error { return atomicfile.Write(path, data, fileMode) }
func (onDisk) Sync(f *os.File) error                { return f.Sync() }
func (onDisk) Rename(from, to string) error         { return atomicfile.Rename(from, to) }
func (onDisk) Forget(path string) error             { return os.Remove(path) }
