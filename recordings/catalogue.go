package recordings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rendezvous/internal/atomicfile"
)

const catalogueFile = "catalogue.json"

// maxJSON bounds catalogue and sidecars that are read.
const maxJSON = 64 << 20

// catalogue is the catalogue's file.
type catalogue struct {
	Recordings []*Entry `json:"recordings"`
	Deleted    []*Entry `json:"deleted,omitempty"` // the archive is yet to be told of
}

// save writes the catalogue; the caller holds mu.
func (l *Library) save() error {
	c := catalogue{Recordings: []*Entry{}}
	for _, id := range sortedIDs(l.entries) {
		c.Recordings = append(c.Recordings, l.entries[id])
	}
	for _, id := range sortedIDs(l.deleted) {
		c.Deleted = append(c.Deleted, l.deleted[id])
	}
	if err := atomicfile.WriteJSON(filepath.Join(l.cfg.Dir, catalogueFile), c, 0o600); err != nil {
		return fmt.Errorf("catalogue of recordings: %w", err)
	}
	return nil
}

func parseCatalogue(data []byte) (entries, deleted map[string]*Entry, err error) {
	var c catalogue
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, nil, err
	}
	if entries, err = byID(c.Recordings); err != nil {
		return nil, nil, err
	}
	deleted, err = byID(c.Deleted)
	return entries, deleted, err
}

func byID(list []*Entry) (map[string]*Entry, error) {
	entries := map[string]*Entry{}
	for _, e := range list {
		if e == nil {
			return nil, errors.New("an empty entry")
		}
		if err := e.check(); err != nil {
			return nil, err
		}
		entries[e.ID] = e
	}
	return entries, nil
}

func parseSidecar(data []byte) (*Sidecar, error) {
	s := &Sidecar{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, err
	}
	return s, s.check()
}

func (d disk) readSidecar(dir string) (*Sidecar, error) {
	data, err := d.read(filepath.Join(dir, sidecarFile))
	if err != nil {
		return nil, err
	}
	s, err := parseSidecar(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, sidecarFile), err)
	}
	return s, nil
}

func (d disk) writeSidecar(dir string, s Sidecar) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := d.write(filepath.Join(dir, sidecarFile), append(data, '\n')); err != nil {
		return err
	}
	return d.write(filepath.Join(dir, chaptersFile), webVTT(s.Chapters))
}

// load reads the catalogue and brings it in line with the folders: entries whose
// recording was cut off by a crash are finished, folders it does not know are entered,
// entries without a folder are dropped. A catalogue that cannot be read is put aside
// and made anew from the sidecars.
//
// None of this keeps a host from starting: what cannot be done is logged.
func (l *Library) load() {
	path := filepath.Join(l.cfg.Dir, catalogueFile)
	data, err := l.disk.read(path)
	if err == nil {
		l.entries, l.deleted, err = parseCatalogue(data)
	}
	if err != nil {
		l.entries, l.deleted = map[string]*Entry{}, map[string]*Entry{}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.log.Error("the catalogue of recordings is damaged; it is made anew and the old one kept", "error", err, "kept", path+".damaged")
		if err := os.Rename(path, path+".damaged"); err != nil {
			l.log.Error("damaged catalogue cannot be moved away", "error", err)
		}
	}
	changed := l.findFolders()
	for _, id := range sortedIDs(l.entries) {
		e := l.entries[id]
		switch {
		case e.unfinished():
			l.recover(e)
			changed = true
		case !isDir(l.folder(e)):
			l.log.Warn("recording is gone from the disk", "room", e.Room, "recording", id)
			l.drop(e)
			changed = true
		}
	}
	l.count()
	if changed {
		if err := l.save(); err != nil {
			l.log.Error("catalogue cannot be written", "error", err)
		}
	}
}

// findFolders enters recordings that only their folders know, and finishes
// deletions that a crash cut off.
func (l *Library) findFolders() (changed bool) {
	left, _ := filepath.Glob(filepath.Join(l.cfg.Dir, ".deleted-*"))
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			l.log.Error("deleted recording cannot be removed", "path", path, "error", err)
		}
	}
	folders, _ := filepath.Glob(filepath.Join(l.cfg.Dir, "*", "*"))
	for _, dir := range folders {
		if l.entries[filepath.Base(dir)] != nil || !isDir(dir) {
			continue
		}
		e, err := l.found(dir)
		if err != nil {
			l.log.Warn("folder among the recordings is none of ours", "path", dir, "error", err)
			continue
		}
		l.entries[e.ID] = e
		changed = true
	}
	return changed
}

// found makes the entry of a recording that only its folder knows. Without a sidecar that
// can be read it is one that was cut off.
func (l *Library) found(dir string) (*Entry, error) {
	id, room := filepath.Base(dir), filepath.Base(filepath.Dir(dir))
	s, err := l.disk.readSidecar(dir)
	if err == nil {
		if s.ID != id || s.Room != room {
			return nil, errors.New("it tells of another recording")
		}
		s.Archived = archivedAs(dir)
		return &s.Entry, nil
	}
	started, e := time.Parse(timeOfID, strings.SplitN(id, "-", 2)[0])
	if e != nil {
		return nil, err
	}
	if _, e := os.Stat(filepath.Join(dir, meetingFile)); e != nil {
		return nil, err
	}
	l.log.Warn("sidecar of a recording is lost", "path", dir, "error", err)
	entry := &Entry{
		ID: id, Room: room, Title: room, State: Running, Started: started, Archived: archivedAs(dir),
		Files: []File{{Name: meetingFile, Type: "video/mp4", Title: room}},
	}
	tracks, _ := filepath.Glob(filepath.Join(dir, "track-*.ogg"))
	for _, path := range tracks {
		entry.Files = append(entry.Files, File{Name: filepath.Base(path), Type: "audio/ogg"})
	}
	return entry, entry.check()
}

// recover finishes the entry of a recording that a crash cut off.
func (l *Library) recover(e *Entry) {
	log := l.log.With("room", e.Room, "recording", e.ID)
	dir := l.folder(e)
	s, err := l.disk.readSidecar(dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			log.Warn("sidecar of an interrupted recording cannot be read", "error", err)
		}
		s = &Sidecar{Entry: *e}
	}
	s.State, s.Error, s.Archived = Recovered, "", e.Archived
	err = l.seal(dir, s)
	switch {
	case s.Duration == 0 && err == nil:
		log.Warn("interrupted recording holds nothing")
		delete(l.entries, e.ID)
		os.RemoveAll(dir)
	case s.Duration == 0:
		// The disk, or the key: that may be mended, and the next start tries again.
		log.Error("interrupted recording cannot be finished now", "error", err)
		e.State, e.Error, e.Ended = Failed, oneLine(err), time.Time{}
	default:
		if err != nil {
			log.Error("interrupted recording cannot be finished wholly", "error", err)
		}
		l.entries[e.ID] = &s.Entry
		log.Info("interrupted recording finished", "seconds", s.Duration, "bytes", s.Size)
	}
}

// seal measures and hashes the files of a recording that is no longer written, cuts
// off what a crash left half written, and writes the sidecar. A duration of 0 without
// an error says that there is nothing in it.
func (l *Library) seal(dir string, s *Sidecar) error {
	var first error
	s.Size, s.Duration = 0, 0
	files := []File{}
	for _, f := range s.Files {
		err := l.measure(filepath.Join(dir, f.Name), &f, s)
		if missing(err) {
			continue
		}
		if first == nil {
			first = err
		}
		s.Size += f.Size
		files = append(files, f)
	}
	s.Files = files
	if s.Ended.IsZero() {
		s.Ended = s.Started.Add(seconds(s.Duration))
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
func (l *Library) measure(path string, f *File, s *Sidecar) (err error) {
	f.Size, f.SHA3 = 0, ""
	if f.Name == meetingFile {
		s.Duration, err = l.disk.trim(path)
	} else {
		err = l.disk.finish(path)
	}
	if err == nil {
		f.Size, f.SHA3, err = l.disk.hash(path)
	}
	return err
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() && !strings.HasPrefix(info.Name(), ".")
}
