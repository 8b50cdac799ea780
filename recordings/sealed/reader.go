package sealed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// batch is how many chunks are read from the file at once.
const batch = 16

// Reader reads the clear text of a sealed file. ReadAt is safe for concurrent use.
type Reader struct {
	from     io.ReaderAt
	file     *file
	full     int64 // chunks of chunkSize
	tail     int64 // bytes of clear text in the last chunk
	complete bool
	salvage  bool // damaged chunks are read as zeros

	at int64 // of Read and Seek

	mu  sync.Mutex // guards buf and file
	buf []byte
}

// NewReader reads a complete file of the given size. The chunks are checked when they are read, the
// last one now. The error is ErrNotSealed, ErrKey, ErrTruncated (also if the last chunk is damaged),
// or that of from.
func NewReader(from io.ReaderAt, size int64, keys Keyring) (*Reader, error) {
	r, err := NewPartialReader(from, size, keys)
	if err == nil && !r.complete {
		err = ErrTruncated
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// NewPartialReader reads also a file that is still being written or was cut off, as far as its chunks
// are whole. The error is ErrNotSealed, ErrKey, ErrTruncated if not even the header is whole, or that
// of from.
func NewPartialReader(from io.ReaderAt, size int64, keys Keyring) (*Reader, error) {
	header := make([]byte, min(max(size, 0), int64(headSize)))
	if _, err := from.ReadAt(header, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	f, err := parse(header, keys)
	if err != nil {
		return nil, err
	}
	r := &Reader{from: from, file: f, full: (size - int64(headSize)) / fullSize, buf: make([]byte, 0, fullSize)}
	if rest := (size - int64(headSize)) % fullSize; rest >= tagSize {
		_, err := r.chunk(r.full, rest, true)
		if err == nil {
			r.complete, r.tail = true, rest-tagSize
			return r, nil
		}
		if !errors.Is(err, ErrDamaged) {
			return nil, err
		}
	}
	// The machine may have stopped before the disk had the last chunks.
	for ; r.full > 0; r.full-- {
		_, err := r.chunk(r.full-1, fullSize, false)
		if err == nil {
			break
		}
		if !errors.Is(err, ErrDamaged) {
			return nil, err
		}
	}
	return r, nil
}

// NewSalvageReader reads what can be read of a file that is damaged: what NewPartialReader takes, with zeros where
// a chunk is not what was written.
func NewSalvageReader(from io.ReaderAt, size int64, keys Keyring) (*Reader, error) {
	r, err := NewPartialReader(from, size, keys)
	if err == nil {
		r.salvage = true
	}
	return r, err
}

// chunk reads and decrypts a chunk; size is in the file. The result is valid until
// the next call.
func (r *Reader) chunk(n, size int64, last bool) ([]byte, error) {
	if int64(cap(r.buf)) < size {
		r.buf = make([]byte, 0, batch*fullSize)
	}
	b := r.buf[:size]
	if err := r.raw(b, n); err != nil {
		return nil, err
	}
	return r.file.open(b, n, last)
}

// raw reads what lies in the file from chunk n on.
func (r *Reader) raw(b []byte, n int64) error {
	got, err := r.from.ReadAt(b, int64(headSize)+n*fullSize)
	if got == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return ErrTruncated // the file became shorter
	}
	return err
}

// Complete tells whether the file has its end.
func (r *Reader) Complete() bool { return r.complete }

// Size is the length of the clear text in bytes.
func (r *Reader) Size() int64 { return r.full*chunkSize + r.tail }

// ReadAt reads clear text (io.ReaderAt). The error is io.EOF at the end, ErrDamaged for a chunk that is
// not what was written, or that of what is read from.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("sealed: negative offset")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	done := 0
	for done < len(p) && off+int64(done) < r.Size() {
		n, err := r.some(p[done:], off+int64(done))
		done += n
		if err != nil {
			return done, err
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// some reads up to batch chunks' worth of what is at off; there is something.
func (r *Reader) some(p []byte, off int64) (done int, err error) {
	first := off / chunkSize
	end := min((off+int64(len(p))+chunkSize-1)/chunkSize, first+batch) // the chunk after the last that is wanted
	size := (min(end, r.full) - first) * fullSize
	if end > r.full && r.tail > 0 {
		size += r.tail + tagSize
	}
	if int64(cap(r.buf)) < size {
		r.buf = make([]byte, 0, batch*fullSize)
	}
	raw := r.buf[:size]
	if err := r.raw(raw, first); err != nil {
		return 0, err
	}
	skip := off % chunkSize
	for n := first; len(raw) > 0; n++ {
		length := min(fullSize, len(raw))
		clear, err := r.file.open(raw[:length], n, n == r.full)
		if err != nil && r.salvage {
			clear, err = make([]byte, length-tagSize), nil
		}
		if err != nil {
			return done, fmt.Errorf("at %d bytes: %w", n*chunkSize, err)
		}
		done += copy(p[done:], clear[skip:])
		raw, skip = raw[length:], 0
	}
	return done, nil
}

// Read reads on from where the last Read or Seek has come to (io.Reader), with the errors of ReadAt.
// Unlike ReadAt it is for one goroutine.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.ReadAt(p, r.at)
	r.at += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Seek says where Read goes on (io.Seeker), in bytes of the clear text. A place before the first byte is
// an error, one after the last is none.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.Size()
	default:
		return 0, errors.New("sealed: unknown whence")
	}
	if offset < 0 {
		return 0, errors.New("sealed: negative offset")
	}
	r.at = offset
	return offset, nil
}

// File is a sealed file on the disk, read in the clear.
type File struct {
	*Reader
	file *os.File
}

// Open opens a sealed file. One without an end is taken as far as its chunks are whole
// if partial is set, and else refused.
func Open(path string, keys Keyring, partial bool) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	begin := NewReader
	if partial {
		begin = NewPartialReader
	}
	s, err := FromFile(f, keys, begin)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// FromFile reads an open file with one of the readers of this package. Close closes it too; after an
// error, which is the reader's or the system's, it is still the caller's to close.
func FromFile(f *os.File, keys Keyring, begin func(io.ReaderAt, int64, Keyring) (*Reader, error)) (*File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r, err := begin(f, info.Size(), keys)
	if err != nil {
		return nil, err
	}
	return &File{r, f}, nil
}

// Close closes the file on the disk; reads fail from then on. The error is the system's.
func (f *File) Close() error { return f.file.Close() }

// Stat tells of the file, with the size of its clear text. The error is the system's.
func (f *File) Stat() (fs.FileInfo, error) {
	info, err := f.file.Stat()
	return clearInfo{info, f.Size()}, err
}

type clearInfo struct {
	fs.FileInfo
	size int64
}

func (i clearInfo) Size() int64 { return i.size }

// IsSealed tells whether a file begins as a sealed one.
func IsSealed(f io.ReaderAt) bool {
	head := make([]byte, len(magic))
	_, err := f.ReadAt(head, 0)
	return err == nil && bytes.Equal(head, []byte(magic))
}
