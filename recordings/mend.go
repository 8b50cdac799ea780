package recordings

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rendezvous/recordings/sealed"
)

// job is a recording that is to be finished, or repaired if it needs that.
type job struct {
	id     string
	repair bool
}

// ask leaves a job to the mender; the caller holds mu.
func (l *Library) ask(j job) {
	if !l.mending(j.id) {
		l.jobs = append(l.jobs, j)
	}
	wake(l.mend)
}

// mending tells whether there is a job about a recording; the caller holds mu.
func (l *Library) mending(id string) bool {
	return slices.ContainsFunc(l.jobs, func(j job) bool { return j.id == id })
}

// mendAll does the jobs, one at a time, until Close. What Close interrupts the next start begins again.
func (l *Library) mendAll() {
	for l.ctx.Err() == nil {
		l.mu.Lock()
		remains := l.remains
		var j job
		if len(l.jobs) > 0 {
			j = l.jobs[0]
		}
		l.mu.Unlock()
		switch {
		case remains:
			l.removeRemains()
			l.mu.Lock()
			l.remains = false
			l.mu.Unlock()
		case j.id != "":
			l.do(j)
		default:
			select {
			case <-l.ctx.Done():
			case <-l.mend:
			}
		}
	}
}

// removeRemains removes the folders of deleted recordings that an earlier run has left.
func (l *Library) removeRemains() {
	left, _ := filepath.Glob(filepath.Join(l.cfg.Dir, hiddenPrefix+"*"))
	for _, path := range left {
		if l.ctx.Err() != nil {
			return
		}
		if err := l.removeHidden(strings.TrimPrefix(filepath.Base(path), hiddenPrefix)); err != nil {
			l.log.Error("what is left of a deleted recording cannot be removed", "path", path, "error", err)
		}
	}
}

// do does the job that is the first.
func (l *Library) do(j job) {
	l.mu.Lock()
	var e Entry
	if entry := l.entries[j.id]; entry != nil {
		e = *entry
	}
	l.mu.Unlock()
	log := l.log.With("room", e.Room, "recording", e.ID)
	done := &e
	var err error
	if e.ID != "" {
		if j.repair {
			done, err = l.repair(e, log)
		} else {
			done, err = l.recover(e, log)
		}
	}
	if l.ctx.Err() != nil {
		return // the job is not done; the entry in the catalogue says so
	}
	if e.ID != "" {
		l.mu.Lock()
		if saving := l.enterOutcome(e.ID, done); err == nil {
			err = saving
		}
		l.mu.Unlock()
	}
	if done == nil {
		l.removeFolder(l.folder(&e))
	}
	l.mu.Lock()
	l.jobs = l.jobs[1:]
	l.mu.Unlock()
	switch {
	case done == nil:
		log.Warn("interrupted recording holds nothing")
		return
	case done.State == Damaged:
		log.Error("recording is damaged; it is left as it is", "error", done.Error)
	case done.unfinished():
		log.Error("interrupted recording cannot be finished now", "error", err)
	case err != nil:
		log.Error("interrupted recording cannot be finished wholly", "error", err)
	}
	if !done.unfinished() && done.State != Damaged {
		log.Info("recording is whole", "state", done.State, "seconds", done.Duration, "bytes", done.Size)
	}
	wake(l.tidy)
	wake(l.changed)
}

// enterOutcome puts what has become of a recording into the catalogue, nil if there is nothing to keep; the caller holds mu.
func (l *Library) enterOutcome(id string, e *Entry) error {
	if e == nil {
		delete(l.entries, id)
	} else {
		if old := l.entries[id]; old != nil {
			e.Archived, e.Title = old.Archived, old.Title // the archive may have been quicker, and somebody have given it a name
		}
		l.entries[id] = e
	}
	l.count()
	return l.save()
}

// recover looks for the end of a recording that a crash cut off, and returns its entry; nil: nothing was recorded.
func (l *Library) recover(e Entry, log *slog.Logger) (*Entry, error) {
	dir := l.folder(&e)
	s, brief := l.interrupted(e, log)
	p := &progress{log: log, what: "finishing an interrupted recording", total: sizeOf(dir, s.Files), last: time.Now()}
	err := l.seal(l.ctx, dir, s, nil, p)
	return outcome(s, err, brief), err
}

// interrupted returns what is known of a recording that was cut off, and whether it was so soon that there need not
// be anything in it.
func (l *Library) interrupted(e Entry, log *slog.Logger) (s *Sidecar, brief bool) {
	s, err := l.disk.readSidecar(l.folder(&e))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			log.Warn("sidecar of an interrupted recording cannot be read", "error", err)
		}
		s = &Sidecar{Entry: e}
	} else {
		brief = s.Duration < checkpoint.Seconds()
	}
	s.State, s.Error, s.Archived = Recovered, "", e.Archived
	return s, brief
}

// outcome is the entry of a recording that seal has returned; nil: nothing was recorded, and so soon after the beginning
// that nothing is lost.
func outcome(s *Sidecar, err error, brief bool) *Entry {
	e := s.Entry
	switch {
	case s.Duration > 0:
	case err == nil, brief && (errors.Is(err, errNothing) || errors.Is(err, errNoFilm) || errors.Is(err, errNoMovie)):
		return nil
	case errors.Is(err, ErrDamaged) || errors.Is(err, sealed.ErrDamaged):
		e.State, e.Error = Damaged, oneLine(err)
	default:
		// The disk, or the key: that may be mended, and the next start tries again.
		e.State, e.Error, e.Ended = Failed, oneLine(err), time.Time{}
	}
	return &e
}

// seal measures and hashes the files of a recording that is no longer written, cuts off what a crash left half written,
// and writes the sidecar. known are files whose hashes need not be made. Without a film that can be played the duration
// is 0, the error says why, and nothing is changed.
func (l *Library) seal(ctx context.Context, dir string, s *Sidecar, known map[string]File, p *progress) error {
	var first error
	told := s.Duration // until when the sidecar is from
	s.Size, s.Duration = 0, 0
	files := []File{}
	for _, f := range s.Files {
		path := filepath.Join(dir, f.Name)
		err := l.measure(ctx, path, &f, s, known[f.Name], p)
		if f.Name != meetingFile && absent(err) {
			continue // somebody who said nothing
		}
		if err != nil {
			f.Size = sizeOf(dir, []File{f})
		}
		if first == nil {
			first = err
		}
		s.Size += f.Size
		files = append(files, f)
		if f.Name == meetingFile && s.Duration == 0 {
			files = s.Files // the film comes first; the rest is left as it is
			break
		}
	}
	s.Files = files
	if s.Ended.IsZero() {
		length := s.Duration
		if length == 0 {
			length = told
		}
		s.Ended = s.Started.Add(seconds(length))
	}
	s.Chapters = chapters(s.Participants, s.Speech, s.Duration)
	s.People = max(s.People, len(s.Participants))
	if s.Duration == 0 {
		return first
	}
	if err := l.disk.writeSidecar(dir, *s); first == nil {
		first = err
	}
	return first
}

// measure completes a file on the disk and its entry, and for the meeting the duration.
func (l *Library) measure(ctx context.Context, path string, f *File, s *Sidecar, known File, p *progress) (err error) {
	f.Size, f.SHA3 = 0, ""
	cut := false
	if f.Name == meetingFile {
		s.Duration, cut, err = l.disk.trim(ctx, path)
	} else {
		err = l.disk.finish(path)
	}
	switch {
	case err != nil:
	case known.SHA3 != "" && !cut:
		f.Size, f.SHA3 = known.Size, known.SHA3
	default:
		f.Size, f.SHA3, err = l.disk.hash(ctx, path, p.add)
	}
	return err
}

// sizeOf is how much files take on the disk.
func sizeOf(dir string, files []File) (total int64) {
	for _, f := range files {
		if info, err := os.Stat(filepath.Join(dir, f.Name)); err == nil {
			total += info.Size()
		}
	}
	return total
}

// progressEvery is how often the log says how far something is that takes long.
const progressEvery = 5 * time.Second

// progress tells the log now and then how far something is. A nil one tells nothing.
type progress struct {
	log   *slog.Logger
	what  string
	total int64 // bytes
	done  int64
	last  time.Time // when something was said
}

func (p *progress) add(n int) {
	if p == nil {
		return
	}
	p.done += int64(n)
	if now := time.Now(); now.Sub(p.last) >= progressEvery {
		p.last = now
		p.log.Info(p.what, "percent", min(100, 100*p.done/max(p.total, 1)))
	}
}
