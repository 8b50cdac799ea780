package recordings

import (
	"crypto/sha3"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"rendezvous/internal/atomicfile"
	"rendezvous/recordings/sealed"
)

// Content is an open file of a recording, in the clear.
type Content interface {
	io.ReadSeekCloser
	io.ReaderAt
	Stat() (fs.FileInfo, error)
}

// output is a file of a recording that is being written. Close completes it.
type output interface {
	io.WriteCloser
	Sync() error
}

// disk writes files sealed if there is a key, and reads what is sealed and what is not.
type disk struct{ keys sealed.Keyring }

// create makes a file for appending; it must not exist.
func (d disk) create(path string) (output, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if len(d.keys) == 0 {
		return f, nil
	}
	w, err := sealed.NewWriter(f, d.keys[0])
	if err != nil {
		f.Close()
		return nil, err
	}
	return sealedOutput{w, f}, nil
}

// sealedOutput is a sealed file and where it is written to.
type sealedOutput struct {
	*sealed.Writer
	file *os.File
}

// Sync does nothing: what Close adds is to be synced too.
func (o sealedOutput) Sync() error { return nil }

// Close writes the file's end and syncs it.
func (o sealedOutput) Close() error {
	err := o.Writer.Close()
	if err == nil {
		err = o.file.Sync()
	}
	if e := o.file.Close(); err == nil {
		err = e
	}
	return err
}

// write replaces a small file at once.
func (d disk) write(path string, data []byte) error {
	if len(d.keys) > 0 {
		data = sealed.Seal(d.keys[0], data)
	}
	return atomicfile.Write(path, data, 0o600)
}

// open opens a file. A sealed one without its end is taken as far as it is whole if
// partial is set, and else refused.
func (d disk) open(path string, partial bool) (Content, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if !sealed.IsSealed(f) {
		return f, nil
	}
	s, err := sealed.FromFile(f, d.keys, partial)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// read reads a file of at most maxJSON bytes.
func (d disk) read(path string) ([]byte, error) {
	f, err := d.open(path, false)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxJSON+1))
	if err == nil && len(data) > maxJSON {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxJSON)
	}
	return data, err
}

// trim cuts a meeting's file after its last whole fragment and returns how many
// seconds it plays.
func (d disk) trim(path string) (float64, error) {
	f, err := d.open(path, true)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	whole, duration, err := scanMP4(f, info.Size())
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return duration.Seconds(), d.end(path, f, whole)
}

// finish gives a file the end that a crash kept from it.
func (d disk) finish(path string) error {
	f, err := d.open(path, true)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return d.end(path, f, info.Size())
}

// end makes a file, open as f, end after size bytes. A sealed file that has its end
// keeps it: what is too much is no fragment, and no harm.
func (d disk) end(path string, f Content, size int64) error {
	if s, ok := f.(*sealed.File); ok {
		if s.Complete() {
			return nil
		}
		return sealed.Finish(path, d.keys, size)
	}
	info, err := f.Stat()
	if err != nil || info.Size() <= size {
		return err
	}
	return os.Truncate(path, size)
}

// hash returns the size and the SHA3-512 of a file in the clear.
func (d disk) hash(path string) (int64, string, error) {
	f, err := d.open(path, false)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha3.New512()
	n, err := io.Copy(h, f)
	if err != nil {
		return 0, "", err
	}
	return n, hex.EncodeToString(h.Sum(nil)), nil
}

// missing tells that there is no file, or nothing in it: no error of the disk.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoMovie) || errors.Is(err, sealed.ErrTruncated)
}
