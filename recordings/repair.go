package recordings

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"rendezvous/internal/atomicfile"
	"rendezvous/mixer/av"
	"rendezvous/recordings/sealed"
)

// repairFile is a film that is being made of the fragments of a damaged one.
const repairFile = ".meeting.mp4.repair"

// Repair has recordings looked at once more: those with the ids given, or else all that are damaged or could not be
// finished. A film that does not play is made anew of what can be read, and the damaged one kept beside it. It returns at
// once, with the recordings that are looked at: when Get says Recovering of one no longer, it says what has become of it.
// The error is ErrClosed, or of one of the ids: ErrNotFound, also for one whose folder is away, or ErrRunning.
func (l *Library) Repair(ids ...string) ([]Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if len(ids) == 0 {
		for _, id := range sortedIDs(l.entries) {
			if e := l.entries[id]; l.running[id] == nil && !l.missing[id] && (e.State == Damaged || e.unfinished()) {
				ids = append(ids, id)
			}
		}
	}
	list := []Entry{}
	for _, id := range ids {
		e := l.entries[id]
		switch {
		case e == nil:
			return nil, fmt.Errorf("recording %.40s: %w", id, ErrNotFound)
		case l.running[id] != nil:
			return nil, fmt.Errorf("recording %s: %w", id, ErrRunning)
		case l.missing[id]:
			return nil, fmt.Errorf("recording %s: %w: its folder is missing", id, ErrNotFound)
		}
	}
	for _, id := range ids {
		l.ask(job{id: id, repair: true})
		list = append(list, l.current(l.entries[id]))
	}
	return list, nil
}

// repair finishes a recording whose film may have to be made anew, and returns its entry; nil: there is nothing in it.
func (l *Library) repair(e Entry, log *slog.Logger) (*Entry, error) {
	dir := l.folder(&e)
	p := &progress{log: log, what: "repairing a recording", total: 2 * sizeOf(dir, e.Files), last: time.Now()}
	whole := e.State != Damaged && !e.unfinished()
	if whole && l.isAsRecorded(e, p) {
		return &e, nil
	}
	s, brief := l.interrupted(e, log)
	note, err := l.rebuild(l.ctx, s.Entry, whole, p)
	if err == nil {
		err = l.seal(l.ctx, dir, s, nil, p)
	} else {
		if s.Ended.IsZero() {
			s.Ended = s.Started.Add(seconds(s.Duration))
		}
		s.Duration, brief = 0, false
	}
	switch done := outcome(s, err, brief); {
	case done == nil:
		return nil, err
	case whole && s.Duration == 0: // it is no better, and no worse than before
		e.State, e.Error = Damaged, oneLine(err)
		return &e, err
	case done.State == Recovered:
		done.Error = note
		return done, err
	case done.State == Damaged && e.State == Damaged:
		e.Error = done.Error
		return &e, err
	default:
		return done, err
	}
}

// isAsRecorded tells whether a finished recording's film has the hash that it should have.
func (l *Library) isAsRecorded(e Entry, p *progress) bool {
	_, sum, err := l.disk.hash(l.ctx, filepath.Join(l.folder(&e), meetingFile), p.add)
	return err == nil && sum == e.Files[0].SHA3
}

// rebuild makes a recording's film anew of the fragments that can be read, if it does not play as it lies there, or if that
// is asked for because it is not what was recorded. The note says what was lost.
func (l *Library) rebuild(ctx context.Context, e Entry, force bool, p *progress) (note string, err error) {
	dir := l.folder(&e)
	path, from := filepath.Join(dir, meetingFile), ""
	if from, err = damagedFilm(path); err != nil {
		return "", err
	}
	f, err := l.disk.openAs(from, sealed.NewSalvageReader)
	if errors.Is(err, sealed.ErrTruncated) {
		return "", errNothing
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !force && from == path {
		whole, _, err := scanMP4(f, info.Size())
		if err == nil && checkRest(ctx, f, whole, info.Size()) == nil && !l.disk.unreadable(ctx, path, p) {
			return "", nil
		}
	}
	film, err := survey(ctx, f, info.Size())
	if err == nil && film.head == nil {
		film.head, err = rebuildHead(f, film, e.Width, e.Height)
	}
	if err != nil {
		return "", l.explain(f, err)
	}
	if left, err := free(dir); err != nil || left < info.Size() {
		return "", errors.Join(err, fmt.Errorf("the repair needs %d MB of free space, as much as the film", info.Size()/1e6+1))
	}
	if err := l.disk.writeFilm(ctx, filepath.Join(dir, repairFile), f, film, p); err != nil {
		return "", err
	}
	if from == path {
		if from, err = aside(path); err != nil {
			return "", err
		}
	}
	if err := atomicfile.Rename(filepath.Join(dir, repairFile), path); err != nil {
		return "", err
	}
	return fmt.Sprintf("repaired: %d bytes could not be read; what was there is kept as %s", film.lost, filepath.Base(from)), nil
}

// explain adds what may be the reason if nothing of ours is found in a film that may have been sealed.
func (l *Library) explain(f Content, err error) error {
	if _, ok := f.(*sealed.File); !ok && len(l.cfg.Keys) > 0 && errors.Is(err, errNoMovie) {
		return fmt.Errorf("%w; if it was encrypted, the first 32 bytes are lost, without which nothing decrypts the rest", err)
	}
	return err
}

// damagedFilm is the file of which a film is to be made: the film, or if a repair was interrupted between two renames, what
// was put aside then.
func damagedFilm(path string) (string, error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	kept, _ := filepath.Glob(path + ".damaged*")
	if len(kept) == 0 {
		return "", errNoFilm
	}
	return kept[len(kept)-1], nil
}

// unreadable tells whether somewhere in a sealed file is something that was not written there.
func (d disk) unreadable(ctx context.Context, path string, p *progress) bool {
	f, err := d.open(path, true)
	if err != nil {
		return true
	}
	defer f.Close()
	if _, ok := f.(*sealed.File); !ok {
		return false
	}
	_, err = copyAll(ctx, io.Discard, f, p.add)
	return err != nil
}

// film is what can be read of a damaged one.
type film struct {
	head      []byte     // nil: lost
	fragments []fragment // without their moof
	lost      int64      // bytes that belong to neither
	params    []byte     // of the pictures, from the first fragment that has them; nil: none does
}

// survey finds what can be read of a film.
func survey(ctx context.Context, r io.ReaderAt, size int64) (film, error) {
	if size == 0 {
		return film{}, errNothing
	}
	var c film
	var err error
	if c.head, err = headOf(r, size); err != nil {
		return film{}, err
	}
	for at := int64(len(c.head)); at < size; {
		f, err := fragmentAt(r, at, size)
		if errors.Is(err, errNoMovie) {
			f, err = nextFragment(ctx, r, at+1, size)
		}
		if errors.Is(err, errNoMovie) {
			if kind, _, _, e := boxAt(r, at, size); e != nil || kind != "mfra" { // the index at the end is of no use without the rest
				c.lost += size - at
			}
			break
		}
		if err == nil && c.params == nil {
			c.params, err = f.parameterSets(r)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return film{}, err
		}
		c.lost += f.start - at
		at, f.moof = f.end, nil
		c.fragments = append(c.fragments, f)
	}
	if len(c.fragments) == 0 {
		return film{}, errNoMovie
	}
	return c, nil
}

// rebuildHead makes the head of a film whose pictures have the size given, as it was when it was recorded.
func rebuildHead(r io.ReaderAt, c film, width, height int) ([]byte, error) {
	switch {
	case c.params == nil:
		return nil, damage("the head of the film is lost, and no key frame is left that says how to decode the pictures")
	case width <= 0 || height <= 0:
		return nil, damage("the head of the film is lost, and the size of its pictures is not known: it was in " + sidecarFile + " and in " + catalogueFile)
	}
	var b bytes.Buffer
	mux, err := av.NewMuxer(&b, filmConfig(width, height, 0))
	if err != nil {
		return nil, err
	}
	err = mux.WritePacket(av.MuxPacket{Track: videoTrack, Duration: 1, Key: true, Data: c.params})
	if e := mux.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, err
	}
	head, err := headOf(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err == nil && head == nil {
		err = errors.New("the new head of the film cannot be read")
	}
	return head, err
}

// writeFilm writes a film of what can be read of another one, which is r.
func (d disk) writeFilm(ctx context.Context, path string, r io.ReaderAt, c film, p *progress) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a repair that was interrupted
		return err
	}
	out, err := d.create(path)
	if err != nil {
		return err
	}
	_, err = out.Write(c.head)
	for _, f := range c.fragments {
		if err != nil {
			break
		}
		_, err = copyAll(ctx, out, io.NewSectionReader(r, f.start, f.end-f.start), p.add)
	}
	if err == nil {
		err = out.Sync()
	}
	if e := out.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(path)
	}
	return err
}
