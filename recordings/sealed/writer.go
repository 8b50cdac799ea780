package sealed

import (
	"errors"
	"io"
	"os"
)

var errClosed = errors.New("sealed: the file is finished")

// Writer seals what is written to it. It is not safe for concurrent use.
type Writer struct {
	to    io.Writer
	file  *file
	n     int64  // chunks written
	clear []byte // of the next chunk
	out   []byte
	err   error // of the last write: what is in the file is not known then
}

// NewWriter begins a sealed file: it writes the header. The error is that of to.
func NewWriter(to io.Writer, k Key) (*Writer, error) {
	w := &Writer{to: to, file: newFile(k), clear: make([]byte, 0, chunkSize)}
	if _, err := to.Write(w.file.header); err != nil {
		return nil, err
	}
	return w, nil
}

// Write seals p (io.Writer). Chunks are written as they become full, so that up to 4095
// bytes wait for Close. The error is that of what is written to, and of every later call;
// nothing can be written after Close.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	w.out = w.out[:0]
	for rest := p; len(rest) > 0; {
		n := min(chunkSize-len(w.clear), len(rest))
		w.clear = append(w.clear, rest[:n]...)
		rest = rest[n:]
		if len(w.clear) == chunkSize {
			w.out = w.file.seal(w.out, w.clear, w.n, false)
			w.clear = w.clear[:0]
			w.n++
		}
	}
	if len(w.out) > 0 {
		if _, w.err = w.to.Write(w.out); w.err != nil {
			return 0, w.err
		}
	}
	return len(p), nil
}

// Close writes the last chunk. It does not close what is written to. The error is the first
// that there was; a second Close fails.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	w.err = errClosed
	_, err := w.to.Write(w.file.seal(w.out[:0], w.clear, w.n, true))
	return err
}

// Seal seals a small file in one go.
func Seal(k Key, clear []byte) []byte {
	f := newFile(k)
	out := make([]byte, 0, headSize+len(clear)+(len(clear)/chunkSize+1)*tagSize)
	out = append(out, f.header...)
	n := int64(0)
	for ; len(clear) >= chunkSize; n++ {
		out = f.seal(out, clear[:chunkSize], n, false)
		clear = clear[chunkSize:]
	}
	return f.seal(out, clear, n, true)
}

// Finish completes a file that a crash cut off: it keeps the first size bytes of the
// clear text, which must be there, and writes the last chunk. The file is synced. A file that
// is complete is refused.
func Finish(path string, keys Keyring, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	r, err := NewPartialReader(f, info.Size(), keys)
	if err != nil {
		return err
	}
	if r.Complete() {
		return errClosed
	}
	if size < 0 || size > r.Size() {
		return ErrTruncated
	}
	n := size / chunkSize
	clear := make([]byte, size%chunkSize)
	if _, err := r.ReadAt(clear, n*chunkSize); err != nil && !(len(clear) == 0 && errors.Is(err, io.EOF)) {
		return err
	}
	// Cut first: a crash in between leaves whole chunks, and no two last ones.
	end := int64(headSize) + n*fullSize
	if err := f.Truncate(end); err != nil {
		return err
	}
	if _, err := f.WriteAt(r.file.seal(nil, clear, n, true), end); err != nil {
		return err
	}
	return f.Sync()
}
