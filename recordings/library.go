package recordings

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"rendezvous/mixer/audio"
	"rendezvous/recordings/sealed"
)

// Config are the parameters of a Library.
type Config struct {
	Log       *slog.Logger
	Metrics   *Metrics       // nil: not counted
	Dir       string         // folder of the recordings; made if it is missing
	Keys      sealed.Keyring // seal new files, and open old ones; empty: written in the clear
	Fragment  time.Duration
	Bitrate   int // of the mixed sound, bit/s; the same as the browsers' saves an encode
	Retention Retention
	Now       func() time.Time // wall clock; nil: time.Now
}

// Retention says what is kept. Zero values set no limit.
type Retention struct {
	MinFree int64         // recording stops when the disk has less left, bytes
	MaxAge  time.Duration // of a recording since it ended
	MaxSize int64         // of all recordings together, bytes
}

// Library is a folder of recordings and their catalogue. It is safe for concurrent use.
type Library struct {
	cfg     Config
	disk    disk
	log     *slog.Logger
	metrics *Metrics

	ctx     context.Context // of the keeper and the archive
	cancel  context.CancelFunc
	keepers sync.WaitGroup
	tidy    chan struct{} // asks the keeper to look at the retention
	changed chan struct{} // asks the archivist to look at the catalogue

	mu        sync.Mutex // guards what follows, and the catalogue file
	entries   map[string]*Entry
	deleted   map[string]*Entry // the archive is yet to be told of
	running   map[string]*Recording
	keep      Retention
	archiving bool // ArchiveTo was called
	closed    bool
}

// tidyEvery is how often retention is looked at when nothing happens.
const tidyEvery = time.Hour

// Open opens the folder, finishes the entries of recordings that a crash cut off,
// and begins to keep to the retention.
//
// A folder that cannot be made or written is no reason not to hold meetings: that is
// logged, and each recording fails by itself.
func Open(cfg Config) *Library {
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Fragment <= 0 {
		cfg.Fragment = time.Second
	}
	if cfg.Bitrate <= 0 {
		cfg.Bitrate = 32000
	}
	l := &Library{
		cfg: cfg, disk: disk{cfg.Keys}, log: cfg.Log, metrics: cfg.Metrics, keep: cfg.Retention,
		tidy: make(chan struct{}, 1), changed: make(chan struct{}, 1),
		entries: map[string]*Entry{}, deleted: map[string]*Entry{}, running: map[string]*Recording{},
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		l.log.Error("recordings cannot be kept", "error", err)
	}
	l.load()
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.keepers.Go(l.keepOrder)
	return l
}

// Request describes a recording to be made.
type Request struct {
	Room          string
	Title         string
	By            string // name of who ordered it
	Width, Height int    // of the best rung, pixels
	People        []Person
}

// Start begins a recording. Attach it to the mixer, and its Video; Stop it at the end.
func (l *Library) Start(q Request) (*Recording, error) {
	now := l.cfg.Now()
	e := Entry{
		ID: newID(now), Room: q.Room, Title: q.Title, By: q.By, State: Running,
		Started: now.UTC(), Width: q.Width, Height: q.Height,
		Files: []File{{Name: meetingFile, Type: "video/mp4", Title: q.Title}},
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	dir := l.folder(&e)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("recording cannot be kept: %w", err)
	}
	r := &Recording{
		lib: l, dir: dir, log: l.log.With("room", q.Room, "recording", e.ID),
		queue: newQueue(), start: now,
		audio:  audio.Format{Codec: "opus", Channels: 1, Bitrate: l.cfg.Bitrate},
		failed: make(chan error, 1), stop: make(chan struct{}), done: make(chan struct{}),
		entry: e, journal: newJournal(),
	}
	r.needKey.Store(true)
	r.journal.update(q.People, 0, now)
	if err := l.begin(r); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	go r.run()
	r.log.Info("recording started", "by", q.By)
	return r, nil
}

// begin makes the files of a recording and enters it into the catalogue.
func (l *Library) begin(r *Recording) (err error) {
	if err := l.checkSpace(r.dir); err != nil {
		return err
	}
	r.file, err = l.newMeeting(filepath.Join(r.dir, meetingFile), r.entry.Width, r.entry.Height, r.audio)
	if err != nil {
		return fmt.Errorf("recording cannot be kept: %w", err)
	}
	if err = l.disk.writeSidecar(r.dir, r.sidecar()); err == nil {
		err = l.enter(r)
	}
	if err != nil {
		_ = r.file.close() // the reason is err
	}
	return err
}

func (l *Library) enter(r *Recording) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	e := r.entry
	l.entries[e.ID] = &e
	if err := l.save(); err != nil {
		delete(l.entries, e.ID)
		return err
	}
	l.running[e.ID] = r
	return nil
}

// complete enters what has become of a recording and writes its sidecar. The
// recording's own failure is in the sidecar; the error returned is of the catalogue.
func (l *Library) complete(r *Recording, s *Sidecar) error {
	err := l.seal(r.dir, s)
	nothing := s.Duration == 0 && err == nil
	if s.Duration == 0 && err != nil {
		s.State, s.Error, s.Ended = Failed, oneLine(err), time.Time{} // the next start tries again
	}
	l.mu.Lock()
	delete(l.running, r.entry.ID)
	if nothing {
		// Nothing was recorded: there is nothing to keep.
		delete(l.entries, s.ID)
	} else {
		e := s.Entry
		l.entries[e.ID] = &e
	}
	if e := l.save(); err == nil {
		err = e
	}
	l.count()
	l.mu.Unlock()
	if nothing {
		os.RemoveAll(r.dir)
	}
	l.metrics.ended.WithLabelValues(string(s.State)).Inc()
	r.log.Info("recording ended", "state", s.State, "seconds", s.Duration, "bytes", s.Size)
	wake(l.tidy)
	wake(l.changed)
	return err
}

// List returns the recordings of a room, or of all rooms for "", the newest first.
func (l *Library) List(room string) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Entry{}
	for _, e := range l.entries {
		if room != "" && e.Room != room {
			continue
		}
		out = append(out, l.current(e))
	}
	sort.Slice(out, func(i, j int) bool {
		if !out[i].Started.Equal(out[j].Started) {
			return out[i].Started.After(out[j].Started)
		}
		return out[i].ID > out[j].ID
	})
	return out
}

// current is an entry as of now: a running recording grows.
func (l *Library) current(e *Entry) Entry {
	c := *e
	c.Files = append([]File{}, e.Files...)
	if r := l.running[e.ID]; r != nil {
		c.Duration = r.now().Seconds()
		if info, err := os.Stat(filepath.Join(r.dir, meetingFile)); err == nil {
			c.Size = info.Size()
		}
	}
	return c
}

// Get returns one recording, or ErrNotFound.
func (l *Library) Get(id string) (Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	if e == nil {
		return Entry{}, ErrNotFound
	}
	return l.current(e), nil
}

// Sidecar returns all that is known of a recording.
func (l *Library) Sidecar(id string) (*Sidecar, error) {
	e, err := l.Get(id)
	if err != nil {
		return nil, err
	}
	return l.disk.readSidecar(l.folder(&e))
}

// OpenFile opens one of a recording's files for reading in the clear; name "" is the meeting, and
// meeting.json and chapters.vtt are there too. The caller closes it.
func (l *Library) OpenFile(id, name string) (Content, File, error) {
	e, err := l.Get(id)
	if err != nil {
		return nil, File{}, err
	}
	files := append(e.Files,
		File{Name: sidecarFile, Type: "application/json"},
		File{Name: chaptersFile, Type: "text/vtt"})
	if name == "" {
		name = meetingFile
	}
	for _, f := range files {
		if f.Name != name {
			continue
		}
		in, err := l.disk.open(filepath.Join(l.folder(&e), f.Name), e.State == Running)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		if err != nil {
			return nil, File{}, err
		}
		return in, f, nil
	}
	return nil, File{}, ErrNotFound
}

// Delete removes a finished recording and its files.
func (l *Library) Delete(id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.remove(id)
}

// remove deletes a recording; the caller holds mu. The folder is moved out of sight
// first, so that a crash in the middle does not bring half of it back.
func (l *Library) remove(id string) error {
	e := l.entries[id]
	switch {
	case e == nil:
		return ErrNotFound
	case l.running[id] != nil:
		return ErrRunning
	}
	gone := filepath.Join(l.cfg.Dir, ".deleted-"+id)
	if err := os.Rename(l.folder(e), gone); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("deleting recording %s: %w", id, err)
	}
	l.drop(e)
	err := l.save()
	if e := os.RemoveAll(gone); err == nil {
		err = e
	}
	os.Remove(filepath.Dir(l.folder(e))) // the room's folder, if it is empty now
	l.count()
	return err
}

// SetRetention changes what is kept.
func (l *Library) SetRetention(k Retention) {
	l.mu.Lock()
	l.keep = k
	l.mu.Unlock()
	wake(l.tidy)
}

func (l *Library) retention() Retention {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keep
}

// Close ends what the library does by itself. Recordings must have been stopped; one that
// was not is stopped now.
func (l *Library) Close() error {
	l.cancel()
	l.mu.Lock()
	l.closed = true
	var running []*Recording
	for _, r := range l.running {
		running = append(running, r)
	}
	l.mu.Unlock()
	var err error
	for _, r := range running {
		if e := r.Stop(); err == nil {
			err = e
		}
	}
	l.keepers.Wait()
	return err
}

func (l *Library) folder(e *Entry) string { return filepath.Join(l.cfg.Dir, e.Room, e.ID) }

// since measures from t with the clock it was taken from.
func (l *Library) since(t time.Time) time.Duration { return l.cfg.Now().Sub(t) }

// count brings the gauges up to date; the caller holds mu.
func (l *Library) count() {
	var n, bytes int64
	for id, e := range l.entries {
		if l.running[id] == nil {
			n++
			bytes += e.Size
		}
	}
	l.metrics.stored.Set(float64(n))
	l.metrics.bytes.Set(float64(bytes))
}

// timeOfID is how the id of a recording begins.
const timeOfID = "20060102T150405Z"

// newID sorts by time and cannot be guessed.
func newID(now time.Time) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return now.UTC().Format(timeOfID) + "-" + hex.EncodeToString(b[:])
}

// OpenPath opens a file on the disk for reading in the clear, be it sealed or not.
func (l *Library) OpenPath(path string) (io.ReadSeekCloser, error) {
	return l.disk.open(path, false)
}
