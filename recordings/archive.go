package recordings

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rendezvous/internal/atomicfile"
)

// Archive takes finished recordings to somewhere else, for instance into a room's
// conversation. Its methods are called one at a time, from one goroutine, and end when
// ctx does. What failed is tried again with growing pauses, and at the next start: after
// a crash in between, an archive may be given what it has already.
type Archive interface {
	// Store archives a recording, and returns where it is now, for the catalogue. Library.Hashed
	// tells of its files, and Library.OpenKey opens them by their keys until the recording is
	// deleted, wherever their folder is then. "" without an error means that there is nothing to be
	// done with it; it is not asked for again before the next start.
	Store(ctx context.Context, e Entry) (ref string, err error)
	// Forget is told that a recording that was archived as e.Archived has been deleted,
	// by the retention or by an order: its files are gone.
	Forget(ctx context.Context, e Entry) error
}

// Pauses after the first failure with a recording, and at most.
const (
	firstPause = 10 * time.Second
	mostPause  = 15 * time.Minute
)

// maxDeleted bounds the deleted recordings that no archive has been told of.
const maxDeleted = 10000

// archivedFile keeps the archive's reference in a recording's folder, for a catalogue that is made anew. It
// is not in the sidecar, as that has been hashed and archived itself.
const archivedFile = "archived"

// ArchiveTo begins to hand finished recordings to an archive, and to tell it of deleted
// ones, until Close. It is called once at most.
func (l *Library) ArchiveTo(a Archive) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.archiving {
		return
	}
	l.archiving = true
	l.keepers.Go((&archivist{lib: l, archive: a, tries: map[string]*try{}}).run)
}

// archivist is the goroutine between library and archive.
type archivist struct {
	lib     *Library
	archive Archive
	tries   map[string]*try // of what was not taken, by id
}

type try struct {
	pause time.Duration
	next  time.Time // zero: not before the next start
}

func (a *archivist) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-a.lib.ctx.Done():
			return
		case <-timer.C:
		case <-a.lib.changed:
		}
		a.work()
		if wait := a.wait(); wait > 0 {
			timer.Reset(wait)
		}
	}
}

// wait is how long until something is to be tried again; 0: nothing is.
func (a *archivist) wait() (wait time.Duration) {
	for _, t := range a.tries {
		if left := max(time.Until(t.next), time.Millisecond); !t.next.IsZero() && (wait == 0 || left < wait) {
			wait = left
		}
	}
	return wait
}

// work does what is to be done now.
func (a *archivist) work() {
	l := a.lib
	l.mu.Lock()
	store, forget := l.toArchive(), l.toForget()
	l.mu.Unlock()
	waiting := map[string]bool{}
	for _, e := range forget {
		waiting[e.ID] = true
		if a.due(e.ID) {
			a.forget(e)
		}
	}
	for _, e := range store {
		waiting[e.ID] = true
		if a.due(e.ID) {
			a.store(e)
		}
	}
	for id := range a.tries {
		if !waiting[id] {
			delete(a.tries, id)
		}
	}
	l.metrics.unarchived.Set(float64(a.failing()))
}

// failing is how much waits to be tried again.
func (a *archivist) failing() (n int) {
	for _, t := range a.tries {
		if !t.next.IsZero() {
			n++
		}
	}
	return n
}

func (a *archivist) due(id string) bool {
	t := a.tries[id]
	return a.lib.ctx.Err() == nil && (t == nil || !t.next.IsZero() && !time.Now().Before(t.next))
}

// failed notes when to try again.
func (a *archivist) failed(what string, e Entry, err error) {
	if a.lib.ctx.Err() != nil {
		return
	}
	t := a.tries[e.ID]
	if t == nil {
		t = &try{pause: firstPause / 2}
		a.tries[e.ID] = t
	}
	t.pause = min(2*t.pause, mostPause)
	t.next = time.Now().Add(t.pause)
	a.lib.metrics.archiveFailures.Inc()
	a.lib.log.Warn(what, "room", e.Room, "recording", e.ID, "again_in", t.pause, "error", err)
}

func (a *archivist) store(e Entry) {
	l := a.lib
	log := l.log.With("room", e.Room, "recording", e.ID)
	log.Debug("archiving recording", "bytes", e.Size)
	begin := time.Now()
	ref, err := a.archive.Store(l.ctx, e)
	switch {
	case err != nil:
		a.failed("recording cannot be archived", e, err)
		return
	case ref == "":
		log.Debug("recording is not archived")
		a.tries[e.ID] = &try{}
		return
	}
	delete(a.tries, e.ID)
	if err := l.archived(e, ref); err != nil {
		log.Error("recording is archived, but the catalogue cannot be written", "error", err)
		return
	}
	log.Info("recording archived", "as", ref, "bytes", e.Size, "took", time.Since(begin).Round(time.Millisecond))
}

// archived notes where a recording is now. If it has been deleted meanwhile, the
// archive is told of it next.
func (l *Library) archived(e Entry, ref string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	entry := l.entries[e.ID]
	if entry == nil {
		e.Archived = ref
		l.drop(&e)
		return l.save()
	}
	entry.Archived = ref
	err := atomicfile.Write(filepath.Join(l.folder(entry), archivedFile), []byte(ref+"\n"), 0o600)
	if e := l.save(); err == nil {
		err = e
	}
	return err
}

func (a *archivist) forget(e Entry) {
	l := a.lib
	if err := a.archive.Forget(l.ctx, e); err != nil {
		a.failed("the archive cannot be told of a deleted recording", e, err)
		return
	}
	delete(a.tries, e.ID)
	l.log.Info("the archive knows that a recording is deleted", "room", e.Room, "recording", e.ID, "as", e.Archived)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.deleted, e.ID)
	if err := l.save(); err != nil {
		l.log.Error("catalogue cannot be written", "error", err)
	}
}

// drop takes a recording that is gone from the disk out of the catalogue, and
// remembers it for the archive; the caller holds mu and saves the catalogue.
func (l *Library) drop(e *Entry) {
	delete(l.entries, e.ID)
	if e.Archived == "" {
		return
	}
	if ids := sortedIDs(l.deleted); len(ids) >= maxDeleted {
		delete(l.deleted, ids[0])
		l.log.Error("too many deleted recordings that no archive takes note of", "forgotten", ids[0])
	}
	l.deleted[e.ID] = e
	wake(l.changed)
}

// toArchive are the recordings that have not been archived, the oldest first; the caller holds mu.
func (l *Library) toArchive() []Entry {
	var list []Entry
	for _, e := range l.finished() {
		if e.Archived == "" {
			list = append(list, e)
		}
	}
	return list
}

// toForget are the deleted recordings of which the archive has not been told; the caller holds mu.
func (l *Library) toForget() []Entry {
	var list []Entry
	for _, id := range sortedIDs(l.deleted) {
		list = append(list, *l.deleted[id])
	}
	return list
}

// archivedAs reads the archive's reference from a recording's folder; "": none.
func archivedAs(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, archivedFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
