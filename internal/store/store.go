// Package store keeps what rooms must remember beyond the program's end, rooms
// made at run time and bans, as JSON files in the data folder. It is a
// conference.Store.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/internal/atomicfile"
)

// Store is a folder with rooms.json and bans.json. Its methods are called one at a time.
type Store struct {
	dir string
	log *slog.Logger

	foreign map[string]json.RawMessage // rooms, by id, that this program cannot read: a younger one has made them
}

// New returns a store in a folder, which must exist.
func New(dir string, log *slog.Logger) *Store { return &Store{dir: dir, log: log} }

// LoadRooms implements conference.Store. What a room says nothing of, as a setting that is younger than the file, has
// its default. A room with a word that this program does not know is left out, and kept in the file. It fails if rooms.json is
// there and cannot be read.
func (s *Store) LoadRooms() ([]settings.Room, error) {
	texts, err := load[json.RawMessage](filepath.Join(s.dir, "rooms.json"))
	s.foreign = map[string]json.RawMessage{}
	var out []settings.Room
	for _, text := range texts {
		r, err := readRoom(text)
		var named struct{ ID string }
		switch {
		case err == nil:
			out = append(out, r)
		case json.Unmarshal(text, &named) == nil && named.ID != "":
			s.log.Warn("a room made at run time is left out", "room", named.ID, "error", err)
			s.foreign[named.ID] = text
		default:
			return nil, fmt.Errorf("a room in rooms.json cannot be read: %w; repair it or move the file away", err)
		}
	}
	return out, err
}

// readRoom reads a room of any age.
func readRoom(text []byte) (settings.Room, error) {
	if isOld(text) {
		return readOld(text)
	}
	r := settings.Default()
	return r, json.Unmarshal(text, &r)
}

// SaveRooms implements conference.Store. It fails as the disk does.
func (s *Store) SaveRooms(rooms []settings.Room) error {
	all := make([]any, 0, len(rooms)+len(s.foreign))
	for _, r := range rooms {
		all = append(all, r)
	}
	for _, id := range slices.Sorted(maps.Keys(s.foreign)) {
		if !slices.ContainsFunc(rooms, func(r settings.Room) bool { return r.ID == id }) { // it was not made anew
			all = append(all, s.foreign[id])
		}
	}
	return atomicfile.WriteJSON(filepath.Join(s.dir, "rooms.json"), all, 0o600)
}

// LoadBans implements conference.Store. It fails if bans.json is there and cannot be
// read.
func (s *Store) LoadBans() ([]conference.Ban, error) {
	return load[conference.Ban](filepath.Join(s.dir, "bans.json"))
}

// SaveBans implements conference.Store. It fails as the disk does.
func (s *Store) SaveBans(bans []conference.Ban) error {
	return atomicfile.WriteJSON(filepath.Join(s.dir, "bans.json"), bans, 0o600)
}

// load reads a JSON list; a missing file is an empty one. A damaged file is an
// error: forgetting bans or rooms in silence would be worse than not to start.
func load[T any](path string) ([]T, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []T
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w); repair it or move it away", path, err)
	}
	return list, nil
}
