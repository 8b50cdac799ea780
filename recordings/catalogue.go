package recordings

import (
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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

func readSidecar(dir string) (*Sidecar, error) {
	data, err := readBounded(filepath.Join(dir, sidecarFile))
	if err != nil {
		return nil, err
	}
	s, err := parseSidecar(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, sidecarFile), err)
	}
	return s, nil
}

func writeSidecar(dir string, s Sidecar) error {
	if err := atomicfile.WriteJSON(filepath.Join(dir, sidecarFile), s, 0o600); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, chaptersFile), webVTT(s.Chapters), 0o600)
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxJSON+1))
	if err == nil && len(data) > maxJSON {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxJSON)
	}
	return data, err
}

// load reads the catalogue and brings it in line with the folders: entries whose
// recording was cut off by a crash are finished, folders it does not know are entered,
// entries without a folder are dropped. A catalogue that cannot be read is put aside
// and made anew from the sidecars.
//
// None of this keeps a host from starting: what cannot be done is logged.
func (l *Library) load() {
	path := filepath.Join(l.cfg.Dir, catalogueFile)
	data, err := readBounded(path)
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
		case e.State == Running:
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
	sidecars, _ := filepath.Glob(filepath.Join(l.cfg.Dir, "*", "*", sidecarFile))
	for _, path := range sidecars {
		dir := filepath.Dir(path)
		if l.entries[filepath.Base(dir)] != nil {
			continue
		}
		s, err := readSidecar(dir)
		if err != nil || s.ID != filepath.Base(dir) || s.Room != filepath.Base(filepath.Dir(dir)) {
			l.log.Warn("folder among the recordings is none of ours", "path", dir, "error", err)
			continue
		}
		s.Archived = archivedAs(dir)
		l.entries[s.ID] = &s.Entry
		changed = true
	}
	return changed
}

// recover finishes the entry of a recording that a crash cut off.
func (l *Library) recover(e *Entry) {
	log := l.log.With("room", e.Room, "recording", e.ID)
	dir := l.folder(e)
	s, err := readSidecar(dir)
	if err != nil {
		log.Warn("sidecar of an interrupted recording is lost", "error", err)
		s = &Sidecar{Entry: *e}
	}
	s.State = Recovered
	if err := l.seal(dir, s); err != nil {
		log.Error("interrupted recording cannot be finished", "error", err)
	}
	if s.Duration == 0 {
		log.Warn("interrupted recording holds nothing")
		delete(l.entries, e.ID)
		os.RemoveAll(dir)
		return
	}
	l.entries[e.ID] = &s.Entry
	log.Info("interrupted recording finished", "seconds", s.Duration, "bytes", s.Size)
}

// seal measures and hashes the files of a recording that is no longer written, cuts
// off what a crash left half written, and writes the sidecar.
func (l *Library) seal(dir string, s *Sidecar) error {
	var first error
	s.Size, s.Duration = 0, 0
	files := s.Files[:0]
	for _, f := range s.Files {
		path := filepath.Join(dir, f.Name)
		if f.Name == meetingFile {
			duration, err := trim(path)
			if err != nil {
				if first == nil && !errors.Is(err, errNoMovie) && !errors.Is(err, fs.ErrNotExist) {
					first = err
				}
				continue
			}
			s.Duration = duration
		}
		size, sum, err := hash(path)
		if err != nil {
			if first == nil && !errors.Is(err, fs.ErrNotExist) {
				first = err
			}
			continue
		}
		f.Size, f.SHA3 = size, sum
		s.Size += size
		files = append(files, f)
	}
	s.Files = files
	if s.Ended.IsZero() {
		s.Ended = s.Started.Add(seconds(s.Duration))
	}
	s.Chapters = chapters(s.Participants, s.Speech, s.Duration)
	s.People = len(s.Participants)
	if s.Duration == 0 {
		return first
	}
	if err := writeSidecar(dir, *s); first == nil {
		first = err
	}
	return first
}

// trim cuts a meeting's file after its last whole fragment and returns how many
// seconds it plays.
func trim(path string) (float64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	whole, duration, err := scanMP4(f, info.Size())
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	if whole < info.Size() {
		if err := f.Truncate(whole); err != nil {
			return 0, err
		}
	}
	return duration.Seconds(), nil
}

// hash returns the size and the SHA3-512 of a file.
func hash(path string) (int64, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha3.New512()
	n, err := io.Copy(h, f)
	if err != nil {
		return 0, "", err
	}
	return n, hex.EncodeToString(h.Sum(nil)), nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() && !strings.HasPrefix(info.Name(), ".")
}
