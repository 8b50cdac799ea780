package audit

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"rendezvous/internal/atomicfile"
)

// disk is an open audit file.
type disk interface {
	io.WriteCloser
	Sync() error
	Truncate(size int64) error
}

// reserve is how many bytes of the disk the file has beyond its end: what is ordered while the disk is full, some thousand
// orders, is written there. It is taken again when half of it is used.
const reserve = 1 << 20

// file is an audit file with its reserve.
type file struct {
	*os.File
	size, reserved int64
}

// openDisk opens the file and tells its size. A line that a crash has cut off is ended.
func openDisk(path string) (disk, int64, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, 0, err
	}
	size, err := endLine(f)
	if err == nil && size == 0 {
		err = atomicfile.SyncName(path)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	d := &file{File: f, size: size, reserved: size}
	d.keepReserve()
	return d, size, nil
}

func endLine(f *os.File) (size int64, err error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 || !info.Mode().IsRegular() {
		return 0, err
	}
	size = info.Size()
	var last [1]byte
	if _, err := f.ReadAt(last[:], size-1); err != nil || last[0] == '\n' {
		return size, err
	}
	_, err = f.Write([]byte("\n"))
	return size + 1, err
}

// Write implements io.Writer.
func (f *file) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	f.size += int64(n)
	return n, err
}

// Sync syncs the file.
func (f *file) Sync() error {
	if err := f.File.Sync(); err != nil {
		return err
	}
	f.keepReserve()
	return nil
}

// Truncate cuts the file, and gives its reserve back.
func (f *file) Truncate(size int64) error {
	f.size, f.reserved = size, size
	return f.File.Truncate(size)
}

// keepReserve takes the reserve again. A disk that has no room for it, or cannot keep any, is told of when something
// cannot be written.
func (f *file) keepReserve() {
	if f.reserved-f.size > reserve/2 {
		return
	}
	if unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, f.size, reserve) == nil {
		f.reserved = f.size + reserve
	}
}
