package recordings

import (
	"context"
	"crypto/sha3"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"rendezvous/internal/atomicfile"
	"rendezvous/recordings/sealed"
)

// Content is an open file of a recording, in the clear.
type Content interface {
	io.ReadSeekCloser
	io.ReaderAt
	// Stat has the size in the clear. It fails only as the system does.
	Stat() (fs.FileInfo, error)
}

// output is a file of a recording that is being written. Close completes it. Sync makes what is in
// the file last; another goroutine may write meanwhile.
type output interface {
	io.WriteCloser
	Sync() error
}

// disk writes files sealed if there is a key, and reads what is sealed and what is not.
type disk struct {
	keys sealed.Keyring
	make func(path string) (output, error) // a new file; nil: newFile. Tests put disks here that fail.
}

// create makes a file for appending; it must not exist.
func (d disk) create(path string) (output, error) {
	begin := d.make
	if begin == nil {
		begin = newFile
	}
	f, err := begin(path)
	if err != nil || len(d.keys) == 0 {
		return f, err
	}
	w, err := sealed.NewWriter(f, d.keys[0])
	if err != nil {
		f.Close()
		return nil, err
	}
	return sealedOutput{w, f}, nil
}

// newFile makes a file whose name lasts.
func newFile(path string) (output, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.SyncDir(filepath.Dir(path)); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// sealedOutput is a sealed file and where it is written to.
type sealedOutput struct {
	*sealed.Writer
	file output
}

// Sync makes the whole chunks last. What follows them, less than a chunk, is not in the file yet.
func (o sealedOutput) Sync() error { return o.file.Sync() }

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
	if partial {
		return d.openAs(path, sealed.NewPartialReader)
	}
	return d.openAs(path, sealed.NewReader)
}

// openAs opens a file, and reads it with the reader given if it is sealed.
func (d disk) openAs(path string, begin func(io.ReaderAt, int64, sealed.Keyring) (*sealed.Reader, error)) (Content, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if !sealed.IsSealed(f) {
		return f, nil
	}
	s, err := sealed.FromFile(f, d.keys, begin)
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

// trim cuts a meeting's file after its last whole fragment and returns how many seconds it plays, and
// whether something was too much. It cuts only what a crash leaves: a film of which more can be read
// after the place is damaged, and left as it is.
func (d disk) trim(ctx context.Context, path string) (plays float64, cut bool, err error) {
	f, err := d.open(path, true)
	switch {
	case errors.Is(err, fs.ErrNotExist) && isDir(filepath.Dir(path)): // else the whole folder is away
		return 0, false, errNoFilm
	case errors.Is(err, sealed.ErrTruncated): // not even the header is whole
		return 0, false, errNothing
	case err != nil:
		return 0, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, false, err
	}
	size := info.Size()
	whole, duration, err := scanMP4(f, size)
	if err == nil || errors.Is(err, errNoMovie) {
		if e := checkRest(ctx, f, whole, size); e != nil {
			err = e
		}
	}
	if err != nil {
		return 0, false, err
	}
	return duration.Seconds(), whole < size, d.end(path, f, whole)
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
	out, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	info, err := out.Stat()
	if err != nil {
		return err
	}
	if info.Size() > size {
		if err := out.Truncate(size); err != nil {
			return err
		}
	}
	return out.Sync() // what a crash left may not have been on the disk yet
}

// hash returns the size and the SHA3-512 of a file in the clear. It ends with ctx; read, if not nil,
// is told how much more has been read.
func (d disk) hash(ctx context.Context, path string, read func(n int)) (int64, string, error) {
	f, err := d.open(path, false)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	return hashOf(ctx, f, read)
}

// hashOf is disk.hash for an open file, from where it stands.
func hashOf(ctx context.Context, f io.Reader, read func(n int)) (int64, string, error) {
	h := sha3.New512()
	n, err := copyAll(ctx, h, f, read)
	if err != nil {
		return 0, "", err
	}
	return n, hex.EncodeToString(h.Sum(nil)), nil
}

// copyBuffer is how much is read at once of files that may be large, bytes.
const copyBuffer = 1 << 20

// copyAll copies until the end, or until ctx ends.
func copyAll(ctx context.Context, to io.Writer, from io.Reader, read func(n int)) (total int64, err error) {
	buf := make([]byte, copyBuffer)
	for {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return total, err
			}
			total += int64(n)
			if read != nil {
				read(n)
			}
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// aside gives a file that cannot be read a name beside it, where it stays, and returns the name.
func aside(path string) (string, error) {
	to := path + ".damaged"
	for n := 2; ; n++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			return to, atomicfile.Rename(path, to)
		} else if err != nil {
			return "", err
		}
		to = fmt.Sprintf("%s.damaged-%d", path, n)
	}
}

// absent tells that there is no file, or nothing in it: no error of the disk.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, sealed.ErrTruncated)
}
