package recordings

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"rendezvous/internal/atomicfile"
	"rendezvous/mixer/audio"
	"rendezvous/recordings/sealed"
)

// Config says where recordings are kept, for how long, and who must not be able to read them.
type Config struct {
	Log       *slog.Logger
	Metrics   *Metrics       // nil: not counted
	Dir       string         // folder of the recordings; made if it was not used before
	Mark      string         // file outside of Dir that remembers which folder that is; "": any is taken
	Keys      sealed.Keyring // seal new files, and open old ones; empty: written in the clear
	Fragment  time.Duration
	Bitrate   int // of the mixed sound, bit/s; the same as the browsers' saves an encode
	Retention Retention
	Now       func() time.Time // wall clock; nil: time.Now

	// Running is for how long the library has been open, whatever the wall clock does; nil: by the
	// monotonic clock that Now's readings carry.
	Running func() time.Duration
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

	ctx     context.Context // of the keeper, the mender and the archive
	cancel  context.CancelFunc
	keepers sync.WaitGroup
	tidy    chan struct{} // asks the keeper to look at the retention
	mend    chan struct{} // asks the mender to look at the jobs
	changed chan struct{} // asks the archivist to look at the catalogue

	mu         sync.Mutex // guards what follows, and the catalogue file
	mark       mark
	loaded     bool // the catalogue has been read
	remembered bool // the catalogue that was read says when it was written: there is something to judge the clock by
	unsaved    bool // it could not be written
	entries    map[string]*Entry
	missing    map[string]bool   // their folders are
	deleted    map[string]*Entry // the archive is yet to be told of
	gone       map[string]bool   // deleted; a folder that has the name is to be removed
	running    map[string]*Recording
	jobs       []job // of the mender; the first may be in its hands
	remains    bool  // there may be folders of deleted recordings
	keep       Retention
	clock      clock
	seen       time.Time // the clock's known time as the catalogue on the disk has it
	aged       struct {  // deleted for their age in this hour
		began time.Duration // of running
		n     int
	}
	archiving bool // ArchiveTo was called
	closed    bool
}

// Open opens the folder, begins to finish what a crash has cut off, and to keep to the retention. It
// does not wait for either.
//
// A folder that cannot be made or written, or is away, is no reason not to hold meetings: that is
// logged, and each recording fails by itself until it is there.
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
	if cfg.Running == nil {
		opened := cfg.Now()
		cfg.Running = func() time.Duration { return cfg.Now().Sub(opened) }
	}
	l := &Library{
		cfg: cfg, disk: disk{keys: cfg.Keys}, log: cfg.Log, metrics: cfg.Metrics, keep: cfg.Retention,
		tidy: make(chan struct{}, 1), mend: make(chan struct{}, 1), changed: make(chan struct{}, 1),
		mark:    mark{dir: cfg.Dir, memory: cfg.Mark},
		entries: map[string]*Entry{}, missing: map[string]bool{}, deleted: map[string]*Entry{}, gone: map[string]bool{},
		running: map[string]*Recording{},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	if err := l.mark.recall(); err != nil {
		l.log.Warn("recordings", "error", err)
	}
	l.mu.Lock()
	if err := l.attend(); err != nil {
		l.log.Error("recordings cannot be kept", "error", err)
	}
	l.mu.Unlock()
	l.keepers.Go(l.keepOrder)
	l.keepers.Go(l.mendAll)
	return l
}

// attend sees to it that the folder is the right one, and reads the catalogue if that has not been done;
// the caller holds mu.
func (l *Library) attend() error {
	if err := l.mark.check(); err != nil {
		return err
	}
	err := l.mark.learn()
	if !l.loaded {
		l.load() // what can be read is shown, even if nothing can be written
	}
	return err
}

// Request describes a recording to be made.
type Request struct {
	Room          string
	Title         string
	By            string // name of who ordered it
	Width, Height int    // of the best rung, pixels
	People        []Person
}

// Start begins a recording. Attach it to the mixer, and its Video; Stop it at the end. It fails for a
// request without a valid room id or size, with ErrAway or the system's error if the folder cannot be
// written to or has too little space, and with ErrClosed.
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
	l.mu.Lock()
	err := l.attend()
	l.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("recording cannot be kept: %w", err)
	}
	dir := l.folder(&e)
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("recording cannot be kept: %w", err)
	}
	r := &Recording{
		lib: l, dir: dir, log: l.log.With("room", q.Room, "recording", e.ID),
		queue: newQueue(), start: now,
		audio:  audio.Format{Codec: "opus", Channels: filmChannels, Bitrate: l.cfg.Bitrate},
		failed: make(chan error, 1), stop: make(chan struct{}), done: make(chan struct{}),
		written: make(chan struct{}, 1), trouble: make(chan error, 1),
		entry: e, journal: newJournal(),
	}
	r.needKey.Store(true)
	r.journal.update(q.People, 0, now)
	if err := l.begin(r); err != nil {
		os.RemoveAll(dir) // there is nothing in it yet
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
	if r.file, err = r.newMeeting(); err != nil {
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
	brief := s.Duration < checkpoint.Seconds()
	// That the library is about to be closed is no reason to leave it to the next start: it seldom takes long.
	err := l.seal(context.Background(), r.dir, s, r.sums(), nil)
	e := outcome(s, err, brief)
	if e == nil {
		err = nil // nothing was recorded
	}
	l.mu.Lock()
	delete(l.running, r.entry.ID)
	if saving := l.enterOutcome(s.ID, e); err == nil {
		err = saving
	}
	l.mu.Unlock()
	if e == nil {
		l.removeFolder(r.dir)
	}
	l.metrics.ended.WithLabelValues(string(s.State)).Inc()
	if e != nil {
		s.State = e.State
	}
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

// current is an entry as of now: a running recording grows, and a folder may be away.
func (l *Library) current(e *Entry) Entry {
	c := *e
	c.Files = append([]File{}, e.Files...)
	r := l.running[e.ID]
	switch {
	case r != nil:
		c.Duration = r.now().Seconds()
		if info, err := os.Stat(filepath.Join(r.dir, meetingFile)); err == nil {
			c.Size = info.Size()
		}
	case l.missing[e.ID] && !isDir(l.folder(e)):
		c.State = Missing
	case l.missing[e.ID] && e.unfinished() || l.mending(e.ID):
		c.State = Recovering
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

// Sidecar returns all that is known of a recording. The error is ErrNotFound, the system's, or that of
// a file that is not as it was written.
func (l *Library) Sidecar(id string) (*Sidecar, error) {
	e, err := l.Get(id)
	if err != nil {
		return nil, err
	}
	return l.disk.readSidecar(l.folder(&e))
}

// OpenFile opens one of a recording's files for reading in the clear; name "" is the meeting, and
// meeting.json and chapters.vtt are there too. The caller closes it. The error wraps ErrNotFound for
// what is not there, ErrDamaged for a meeting that cannot be played, sealed.ErrKey if the key is not at
// hand, or the system's.
func (l *Library) OpenFile(id, name string) (Content, File, error) {
	e, err := l.Get(id)
	switch {
	case err != nil:
		return nil, File{}, err
	case e.State == Missing:
		return nil, File{}, fmt.Errorf("%w: its folder is missing", ErrNotFound)
	case e.State == Damaged && (name == "" || name == meetingFile):
		return nil, File{}, fmt.Errorf("recording %s: %w: %s", id, ErrDamaged, e.Error)
	}
	files := append(e.Files,
		File{Name: sidecarFile, Type: "application/json"},
		File{Name: ChaptersFile, Type: "text/vtt"})
	if name == "" {
		name = meetingFile
	}
	for _, f := range files {
		if f.Name != name {
			continue
		}
		in, err := l.disk.open(filepath.Join(l.folder(&e), f.Name), e.State == Running || e.State == Recovering)
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

// Close ends what the library does by itself. Recordings must have been stopped; one that was not is
// stopped now. The error is the first of theirs; everything is closed all the same.
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
