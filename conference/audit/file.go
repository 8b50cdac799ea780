package audit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// queueLength is how many entries may wait for the disk.
const queueLength = 4096

// File writes entries to a file, one JSON object a line. Write never waits for
// the disk: when the queue is full, entries are counted as lost.
type File struct {
	path string
	max  int64
	log  *slog.Logger

	queue chan Entry
	done  chan struct{}
	lost  atomic.Uint64
	stop  sync.Once

	// Of the writing goroutine.
	f    *os.File
	w    *bufio.Writer
	size int64
}

// OpenFile opens the file at path for appending, making it (mode 0600) if it is
// missing. When it grows beyond max bytes (0: no limit) it is renamed to path.1, which
// replaces an older one.
func OpenFile(path string, max int64, log *slog.Logger) (*File, error) {
	a := &File{path: path, max: max, log: log, queue: make(chan Entry, queueLength), done: make(chan struct{})}
	if err := a.open(); err != nil {
		return nil, fmt.Errorf("open audit file: %w", err)
	}
	go a.run()
	return a, nil
}

// Write queues one entry. It must not be called after Close.
func (a *File) Write(e Entry) {
	select {
	case a.queue <- e:
	default:
		a.lost.Add(1)
	}
}

// Lost is how many entries did not get into the file: the disk was too slow or full.
func (a *File) Lost() uint64 { return a.lost.Load() }

// Close writes what is queued and closes the file.
func (a *File) Close() error {
	a.stop.Do(func() { close(a.queue) })
	<-a.done
	return nil
}

func (a *File) open() error {
	f, err := os.OpenFile(a.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	a.f, a.w, a.size = f, bufio.NewWriterSize(f, 64<<10), st.Size()
	return nil
}

func (a *File) run() {
	defer close(a.done)
	defer a.closeFile()
	flush := time.NewTicker(time.Second)
	defer flush.Stop()
	for {
		select {
		case e, ok := <-a.queue:
			if !ok {
				return
			}
			a.append(e)
		case <-flush.C:
			a.flush()
		}
	}
}

func (a *File) append(e Entry) {
	line, err := json.Marshal(e)
	if err == nil && a.f == nil {
		err = a.open()
	}
	if err == nil && a.max > 0 && a.size > 0 && a.size+int64(len(line)) >= a.max {
		err = a.rotate()
	}
	if err == nil {
		var n int
		n, err = a.w.Write(append(line, '\n'))
		a.size += int64(n)
	}
	if err != nil {
		a.fail(err, 1)
	}
}

func (a *File) flush() {
	if a.f == nil || a.w.Buffered() == 0 {
		return
	}
	if err := a.w.Flush(); err != nil {
		a.fail(err, 1)
	}
}

// fail counts what is lost and lets the next entry try a fresh file handle:
// a bufio.Writer keeps its first error for good.
func (a *File) fail(err error, entries uint64) {
	a.lost.Add(entries)
	a.log.Error("audit entry not written", "file", a.path, "error", err)
	if a.f != nil {
		a.f.Close()
		a.f, a.w = nil, nil
	}
}

func (a *File) rotate() error {
	a.closeFile()
	if err := os.Rename(a.path, a.path+".1"); err != nil {
		return err
	}
	return a.open()
}

func (a *File) closeFile() {
	if a.f == nil {
		return
	}
	a.flush()
	if a.f != nil {
		a.f.Close()
		a.f, a.w = nil, nil
	}
}
