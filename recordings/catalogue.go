package recordings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"rendezvous/internal/atomicfile"
)

const catalogueFile = "catalogue.json"

// maxJSON bounds catalogue and sidecars that are read.
const maxJSON = 64 << 20

// catalogue is the catalogue's file.
type catalogue struct {
	Recordings []*Entry  `json:"recordings"`
	Deleted    []*Entry  `json:"deleted,omitempty"` // the archive is yet to be told of
	Gone       []string  `json:"gone,omitempty"`    // deleted; their folders are to be removed, or were away
	Seen       time.Time `json:"seen,omitzero"`     // when it was written, by a clock that was believed
}

// contents are what a catalogue's file says.
type contents struct {
	entries, deleted map[string]*Entry
	gone             map[string]bool
	seen             time.Time
}

// save writes the catalogue; the caller holds mu. What could not be written, catchUp tries again.
func (l *Library) save() error {
	err := l.write()
	if l.unsaved = err != nil; err != nil {
		return fmt.Errorf("catalogue of recordings: %w", err)
	}
	l.seen = l.clock.known
	return nil
}

func (l *Library) write() error {
	if err := l.mark.check(); err != nil {
		return err
	}
	if !l.loaded {
		return errors.New("it has not been read yet")
	}
	c := catalogue{Recordings: []*Entry{}, Gone: slices.Sorted(maps.Keys(l.gone)), Seen: l.clock.known}
	for _, id := range sortedIDs(l.entries) {
		c.Recordings = append(c.Recordings, l.entries[id])
	}
	for _, id := range sortedIDs(l.deleted) {
		c.Deleted = append(c.Deleted, l.deleted[id])
	}
	return atomicfile.WriteJSON(filepath.Join(l.cfg.Dir, catalogueFile), c, 0o600)
}

func parseCatalogue(data []byte) (contents, error) {
	var c catalogue
	if err := json.Unmarshal(data, &c); err != nil {
		return contents{}, err
	}
	entries, err := byID(c.Recordings)
	if err != nil {
		return contents{}, err
	}
	deleted, err := byID(c.Deleted)
	if err != nil {
		return contents{}, err
	}
	gone := map[string]bool{}
	for _, id := range c.Gone {
		gone[id] = true
	}
	return contents{entries, deleted, gone, c.Seen}, nil
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
	return d.write(filepath.Join(dir, ChaptersFile), webVTT(s.Chapters))
}

// load reads the catalogue and brings it in line with the folders: those that it does not know are entered,
// what is unfinished is left to the mender, and an entry without a folder waits for it to come back. A catalogue
// that cannot be read is put aside and made anew from the sidecars. The caller holds mu.
//
// None of this keeps a host from starting: what cannot be done is logged.
func (l *Library) load() {
	path := filepath.Join(l.cfg.Dir, catalogueFile)
	data, err := l.disk.read(path)
	var c contents
	if err == nil {
		c, err = parseCatalogue(data)
	}
	if err == nil {
		l.entries, l.deleted, l.gone, l.seen = c.entries, c.deleted, c.gone, c.seen
	} else if !errors.Is(err, fs.ErrNotExist) {
		kept, e := aside(path)
		l.log.Error("the catalogue of recordings is damaged; it is made anew and the old one kept", "error", err, "kept", kept)
		if e != nil {
			l.log.Error("damaged catalogue cannot be moved away", "error", e)
		}
	}
	if err := atomicfile.Tidy(l.cfg.Dir); err != nil {
		l.log.Warn("tidying the folder of recordings", "error", err)
	}
	l.loaded, l.remains = true, true
	changed := l.findFolders()
	l.lookForFolders()
	l.clock.known, l.remembered = l.seen, !l.seen.IsZero()
	for id, e := range l.entries {
		if !l.missing[id] && e.unfinished() {
			l.ask(job{id: id})
		}
		if l.seen.IsZero() && e.Ended.After(l.clock.known) { // of a catalogue that does not know when it was written
			l.clock.known = e.Ended
		}
	}
	l.clock.knownAt = l.cfg.Running()
	sort.Slice(l.jobs, func(i, j int) bool { return l.jobs[i].id < l.jobs[j].id })
	wake(l.mend)
	l.count()
	if changed {
		if err := l.save(); err != nil {
			l.log.Error("catalogue cannot be written", "error", err)
		}
	}
}

// findFolders enters recordings that only their folders know, and goes on with
// deletions that a crash cut off.
func (l *Library) findFolders() (changed bool) {
	left, _ := filepath.Glob(filepath.Join(l.cfg.Dir, hiddenPrefix+"*"))
	for _, path := range left {
		// An earlier program moved the folder first, and wrote the catalogue then.
		if e := l.entries[strings.TrimPrefix(filepath.Base(path), hiddenPrefix)]; e != nil && !isDir(l.folder(e)) {
			l.drop(e)
			changed = true
		}
	}
	folders, _ := filepath.Glob(filepath.Join(l.cfg.Dir, "*", "*"))
	for _, dir := range folders {
		id := filepath.Base(dir)
		if l.entries[id] != nil || !isDir(dir) {
			continue
		}
		if l.gone[id] { // it was away when it was deleted, or the host stopped in between
			if err := l.hide(dir); err != nil {
				l.log.Error("deleted recording cannot be removed", "path", dir, "error", err)
			}
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
		if name := l.disk.nameIn(dir); name != "" {
			s.Title = name
		}
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
	if name := l.disk.nameIn(dir); name != "" {
		entry.Title = name
	}
	tracks, _ := filepath.Glob(filepath.Join(dir, "track-*.ogg"))
	for _, path := range tracks {
		entry.Files = append(entry.Files, File{Name: filepath.Base(path), Type: "audio/ogg"})
	}
	return entry, entry.check()
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() && !strings.HasPrefix(info.Name(), ".")
}
