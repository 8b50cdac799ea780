package swarm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode"

	"rendezvous/internal/atomicfile"
)

// Bounds of a key.
const (
	maxKey   = 512 // bytes
	keyParts = 3   // names between slashes
)

// checkKey refuses what is no key, as Config.OpenFile describes it.
func checkKey(key string) error {
	switch {
	case len(key) > maxKey:
		return fmt.Errorf("a file's key of %d bytes", len(key))
	case !fs.ValidPath(key) || strings.Count(key, "/") != keyParts-1 || strings.ContainsFunc(key, unicode.IsControl):
		return fmt.Errorf("malformed key of a file: %q", key)
	}
	return nil
}

// fileIndex remembers by which keys the files of a conversation are opened.
type fileIndex struct {
	path string

	mu    sync.Mutex // guards the rest
	files map[string]string
}

// openFileIndex reads it. One that cannot be read is put aside, and its files are not offered: the error says so.
func openFileIndex(path string) (*fileIndex, error) {
	s := &fileIndex{path: path, files: map[string]string{}}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		if err = json.Unmarshal(b, &s.files); err == nil && s.files != nil {
			return s, s.forgetPaths()
		}
		s.files = map[string]string{}
		err = errors.Join(err, atomicfile.Rename(path, path+".damaged"))
	}
	return s, err
}

// forgetPaths puts keys in the place of the absolute paths that an earlier program has noted: those of recordings, which end
// with the key. No other files were ever sent; what has no key in its end is not offered any more, and the error names it. If that
// cannot be saved, the next start does it again.
func (s *fileIndex) forgetPaths() error {
	next, changed := maps.Clone(s.files), false
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(s.files)) {
		path := s.files[id]
		if !filepath.IsAbs(path) {
			continue
		}
		names := strings.Split(filepath.ToSlash(path), "/")
		key := strings.Join(names[max(0, len(names)-keyParts):], "/")
		if err := checkKey(key); err != nil {
			errs = append(errs, fmt.Errorf("the file %s is not offered any more: %s is no recording's: %w", id, path, err))
			delete(next, id)
		} else {
			next[id] = key
		}
		changed = true
	}
	if !changed {
		return nil
	}
	s.files = next
	return errors.Join(errors.Join(errs...), atomicfile.WriteJSON(s.path, next, 0o600))
}

func (s *fileIndex) find(id string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, ok := s.files[id]
	return key, ok
}

// set notes the key of a file, or for an empty one that it is not offered any more. If that cannot be saved, all is as it was.
func (s *fileIndex) set(id, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := maps.Clone(s.files)
	if next[id] = key; key == "" {
		delete(next, id)
	}
	if err := atomicfile.WriteJSON(s.path, next, 0o600); err != nil {
		return err
	}
	s.files = next
	return nil
}
