package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rendezvous/internal/atomicfile"
)

const (
	// queueLength is how many entries may wait for the writer.
	queueLength = 4096
	// mostHeld bounds the bytes of entries that a disk which takes nothing keeps waiting.
	mostHeld = 4 << 20
	// commitEvery is how long after one commit the next begins at the earliest: what comes meanwhile is written and synced with it.
	commitEvery = 20 * time.Millisecond
	// retryEvery is how long after a failure the disk is tried again.
	retryEvery = time.Second
	// syncWait is how long Sync waits at most: a disk that hangs must not keep moderators from their orders.
	syncWait = 2 * time.Second
)

// File writes entries to a file, one JSON object a line, and syncs it: entries that come close together are one commit. Write
// never waits for the disk; Sync does. What a full disk does not take is held and written when it does again, up to a
// bound; beyond that, the oldest is counted as lost.
type File struct {
	path string
	max  int64
	log  *slog.Logger
	open func(path string) (disk, int64, error) // replaced in tests

	queue   chan record
	closing chan struct{}
	done    chan struct{}
	lost    atomic.Uint64
	failure atomic.Pointer[string] // why entries are not on the disk at present; nil: they are
	stop    sync.Once

	// Of the writing goroutine.
	f     disk
	size  int64    // of what is whole in the file
	torn  bool     // there may be more in it: of what was tried to be written, a part
	held  [][]byte // lines that are to be written
	bytes int      // of held
	tried time.Time
}

// record is an entry, or somebody who waits until all before is written.
type record struct {
	entry  *Entry
	synced chan<- struct{}
}

// OpenFile opens the file at path for appending, making it (mode 0600) if it is missing. When it grows beyond max bytes
// (0: no limit) it is renamed to path.1, which replaces an older one. It fails if the file cannot be opened or read; a
// full disk is no error, its entries wait.
func OpenFile(path string, max int64, log *slog.Logger) (*File, error) {
	return openFile(path, max, log, openDisk)
}

func openFile(path string, max int64, log *slog.Logger, open func(string) (disk, int64, error)) (*File, error) {
	a := &File{path: path, max: max, log: log, open: open, queue: make(chan record, queueLength), closing: make(chan struct{}), done: make(chan struct{})}
	var err error
	if a.f, a.size, err = open(path); err != nil && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return nil, fmt.Errorf("open audit file: %w", err)
	}
	if err != nil {
		a.failing(err) // a full disk keeps nobody from meeting
	}
	go a.run()
	return a, nil
}

// Write queues one entry. One that comes after Close is lost, and counted.
func (a *File) Write(e Entry) {
	select {
	case <-a.done:
		a.lost.Add(1)
		return
	default:
	}
	select {
	case a.queue <- record{entry: &e}:
	default:
		a.lost.Add(1)
	}
}

// Sync returns when what was written before is on the disk, or cannot be put there at present; after two seconds at the latest.
func (a *File) Sync() {
	synced := make(chan struct{}, 1)
	late := time.NewTimer(syncWait)
	defer late.Stop()
	select {
	case a.queue <- record{synced: synced}:
	case <-a.done:
		return
	case <-late.C:
		return
	}
	select {
	case <-synced:
	case <-a.done:
	case <-late.C:
	}
}

// Lost is how many entries will never be in the file: the disk took nothing for too long.
func (a *File) Lost() uint64 { return a.lost.Load() }

// Failure says why entries are waiting for the disk; nil: none is.
func (a *File) Failure() error {
	if why := a.failure.Load(); why != nil {
		return fmt.Errorf("orders cannot be written to the audit file: %s", *why)
	}
	return nil
}

// Close writes what is queued and closes the file. What the disk does not take then is counted as lost, and logged; the
// error is always nil.
func (a *File) Close() error {
	a.stop.Do(func() { close(a.closing) })
	<-a.done
	return nil
}

func (a *File) run() {
	defer close(a.done)
	again := time.NewTicker(retryEvery)
	defer again.Stop()
	for open := true; open; {
		var waiting []chan<- struct{}
		select {
		case r := <-a.queue:
			waiting = a.take(r, waiting)
		case <-a.closing:
			open = false
		case <-again.C:
			if len(a.held) == 0 && a.failure.Load() == nil {
				continue
			}
		}
		// All that has come meanwhile goes with it.
		for more := true; more; {
			select {
			case r := <-a.queue:
				waiting = a.take(r, waiting)
			default:
				more = false
			}
		}
		began := time.Now()
		if failing := a.failure.Load() != nil; failing && (!open || began.Sub(a.tried) >= retryEvery) || !failing && len(a.held) > 0 {
			a.tried = began
			a.commit()
		}
		for _, w := range waiting {
			w <- struct{}{}
		}
		if open && a.failure.Load() == nil {
			time.Sleep(commitEvery - time.Since(began))
		}
	}
	a.lost.Add(uint64(len(a.held)))
	if a.f != nil {
		a.f.Close()
	}
}

// take holds an entry for the next commit.
func (a *File) take(r record, waiting []chan<- struct{}) []chan<- struct{} {
	if r.synced != nil {
		return append(waiting, r.synced)
	}
	if r.entry == nil {
		return waiting // the end
	}
	line, err := json.Marshal(r.entry)
	if err != nil {
		a.lost.Add(1)
		a.log.Error("audit entry not written", "error", err)
		return waiting
	}
	a.held = append(a.held, append(line, '\n'))
	a.bytes += len(line) + 1
	for a.bytes > mostHeld {
		a.lost.Add(1)
		a.bytes -= len(a.held[0])
		a.held = a.held[1:]
	}
	return waiting
}

// commit writes what is held and syncs it.
func (a *File) commit() {
	if err := a.write(); err != nil {
		a.failing(err)
		if a.f != nil {
			a.f.Close() // another try gets a fresh handle
			a.f = nil
		}
		return
	}
	if a.failure.Swap(nil) != nil {
		a.log.Info("audit entries are written again", "file", a.path, "lost", a.Lost())
	}
	a.held = nil // and its memory
}

// failing tells why entries wait.
func (a *File) failing(err error) {
	if a.failure.Load() == nil {
		a.log.Error("audit entries wait for the disk", "file", a.path, "error", err)
	}
	why := err.Error()
	a.failure.Store(&why)
}

func (a *File) write() error {
	if a.f == nil {
		f, size, err := a.open(a.path)
		if err != nil {
			return err
		}
		a.f = f
		if !a.torn {
			a.size = size
		} else if size > a.size {
			if err := a.f.Truncate(a.size); err != nil {
				return err
			}
		}
		a.torn = false
	}
	for len(a.held) > 0 {
		if a.full(a.size, a.held[0]) {
			if err := a.rotate(); err != nil {
				return err
			}
		}
		var part []byte
		n := 0
		for ; n < len(a.held) && (n == 0 || !a.full(a.size+int64(len(part)), a.held[n])); n++ {
			part = append(part, a.held[n]...)
		}
		a.torn = true
		if _, err := a.f.Write(part); err != nil {
			return err
		}
		if err := a.f.Sync(); err != nil {
			return err
		}
		a.size, a.torn = a.size+int64(len(part)), false
		a.held, a.bytes = a.held[n:], a.bytes-len(part)
	}
	return nil
}

// full reports whether a line does not go into a file of that size any more.
func (a *File) full(size int64, line []byte) bool {
	return a.max > 0 && size > 0 && size+int64(len(line)) > a.max
}

// rotate puts the file aside and begins another.
func (a *File) rotate() (err error) {
	if err := a.f.Truncate(a.size); err != nil { // its reserve is not needed any more
		return err
	}
	if err := atomicfile.Rename(a.path, a.path+".1"); err != nil {
		return err
	}
	a.f.Close()
	a.f, a.size, err = a.open(a.path)
	if err != nil {
		a.f, a.size = nil, 0
	}
	return err
}
