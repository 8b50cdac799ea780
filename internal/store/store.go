// Package store keeps what rooms must remember beyond the program's end, rooms
// made at run time and bans, as JSON files in the data folder. It is a
// conference.Store.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/internal/atomicfile"
)

// Store is a folder with rooms.json and bans.json.
type Store struct {
	dir string
}

// New returns a store in a folder, which must exist.
func New(dir string) *Store { return &Store{dir: dir} }

// LoadRooms implements conference.Store. What a room says nothing of, as a setting that is younger than the file, has
// its default. It fails if rooms.json is there and cannot be read.
func (s *Store) LoadRooms() ([]settings.Room, error) {
	rooms, err := load[room](filepath.Join(s.dir, "rooms.json"))
	var out []settings.Room
	for _, r := range rooms {
		out = append(out, r.Room)
	}
	return out, err
}

// room is one in rooms.json.
type room struct{ settings.Room }

// UnmarshalJSON reads a room of any age.
func (r *room) UnmarshalJSON(text []byte) (err error) {
	if isOld(text) {
		r.Room, err = readOld(text)
		return err
	}
	r.Room = settings.Default()
	return json.Unmarshal(text, &r.Room)
}

// SaveRooms implements conference.Store. It fails as the disk does.
func (s *Store) SaveRooms(rooms []settings.Room) error {
	return atomicfile.WriteJSON(filepath.Join(s.dir, "rooms.json"), rooms, 0o600)
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
