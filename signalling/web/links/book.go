// Package links keeps the links that let people into rooms: which there are, as what they let somebody in and until when.
// The link itself is a signed token (web.JoinToken) that names its record here; who takes the record away has revoked the link.
package links

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rendezvous/internal/atomicfile"
	"rendezvous/moderation"
)

// Guest is the role of a link that lets somebody in as the room lets in whom it does not know, but without PIN and lobby.
const Guest = "guest"

// Bounds of the links.
const (
	MaxLife = 366 * 24 * time.Hour // a lost link is a key to the room
	Most    = 500                  // of a room
	mostAll = 100_000              // of all rooms
)

// What can be wrong with a link.
var (
	ErrInvalid  = errors.New("invalid")
	ErrTooMany  = errors.New("there are too many links")
	ErrNotFound = errors.New("there is no such link")
)

// Link is the record of one link.
type Link struct {
	ID      string    `json:"id"` // not secret
	Room    string    `json:"room"`
	Role    string    `json:"role"` // Guest, or a moderation.Role's name
	Name    string    `json:"name,omitempty"`
	By      string    `json:"by,omitempty"` // name of who made it
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires"`
}

// check refuses what a link cannot be at a moment.
func (l *Link) check(now time.Time) error {
	if _, err := moderation.ParseRole(l.Role); err != nil && l.Role != Guest {
		return fmt.Errorf("%w: role: is one of guest, observer, listener, speaker, moderator, host, not %.40q", ErrInvalid, l.Role)
	}
	switch life := l.Expires.Sub(now); {
	case life <= 0:
		return fmt.Errorf("%w: expires: is over already", ErrInvalid)
	case life > MaxLife:
		return fmt.Errorf("%w: expires: a link is good for at most %d days", ErrInvalid, MaxLife/(24*time.Hour))
	}
	return nil
}

// Book has the records of all links, in a file. Links of a room that is not there are kept until they expire: a configuration may name
// it again.
type Book struct {
	path string

	changing sync.Mutex                      // one change at a time, and the file with it; may be held while the disk is waited for
	links    atomic.Pointer[map[string]Link] // by id; never written once it is here
}

// Open reads the file at path, which need not be there. It fails if it is there and cannot be read: links that were made would be good
// no more.
func Open(path string) (*Book, error) {
	b := &Book{path: path}
	var list []Link
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the links that let people in: %s cannot be read (%w); repair it or move it away", path, err)
	}
	byID := make(map[string]Link, len(list))
	for _, l := range list {
		byID[l.ID] = l
	}
	b.links.Store(&byID)
	return b, nil
}

// Make keeps a new link; its ID and Made are given here. It is good when it is on the disk, and not there if that fails.
// The error wraps ErrInvalid, ErrTooMany, or is the disk's.
func (b *Book) Make(l Link) (Link, error) {
	now := time.Now()
	if err := l.check(now); err != nil {
		return Link{}, err
	}
	var id [10]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	l.ID, l.Name, l.Made = hex.EncodeToString(id[:]), moderation.CleanName(l.Name), now
	l.Expires = l.Expires.Round(0) // a time of day, which a clock that is set moves, as it will after the next start
	return l, b.change(now, func(all map[string]Link) error {
		of := 0
		for _, other := range all {
			if other.Room == l.Room {
				of++
			}
		}
		if of >= Most || len(all) >= mostAll {
			return fmt.Errorf("%w: %d of this room are good; revoke some", ErrTooMany, of)
		}
		all[l.ID] = l
		return nil
	})
}

// List returns a room's links that are good, the one that expires first before the others.
func (b *Book) List(room string) []Link {
	now := time.Now()
	list := []Link{}
	for _, l := range *b.links.Load() {
		if l.Room == room && now.Before(l.Expires) {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(x, y Link) int {
		if c := x.Expires.Compare(y.Expires); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	})
	return list
}

// Good reports whether a link lets people into a room now.
func (b *Book) Good(room, id string) bool {
	l, ok := (*b.links.Load())[id]
	return ok && l.Room == room && time.Now().Before(l.Expires)
}

// Revoke takes a link away: it is good no more when that is on the disk, and as good as before if that fails.
// The error wraps ErrNotFound, or is the disk's.
func (b *Book) Revoke(room, id string) error {
	return b.change(time.Now(), func(all map[string]Link) error {
		if l, ok := all[id]; !ok || l.Room != room {
			return ErrNotFound
		}
		delete(all, id)
		return nil
	})
}

// RevokeAll takes away a room's links; see Revoke.
func (b *Book) RevokeAll(room string) error {
	return b.change(time.Now(), func(all map[string]Link) error {
		maps.DeleteFunc(all, func(_ string, l Link) bool { return l.Room == room })
		return nil
	})
}

// change makes new records of the old, and forgets those that have expired.
func (b *Book) change(now time.Time, do func(all map[string]Link) error) error {
	b.changing.Lock()
	defer b.changing.Unlock()
	old := *b.links.Load()
	all := maps.Clone(old)
	maps.DeleteFunc(all, func(_ string, l Link) bool { return !now.Before(l.Expires) })
	if err := do(all); err != nil {
		return err
	}
	if maps.Equal(all, old) {
		return nil
	}
	list := slices.SortedFunc(maps.Values(all), func(x, y Link) int { return strings.Compare(x.Room+"\n"+x.ID, y.Room+"\n"+y.ID) })
	if err := atomicfile.WriteJSON(b.path, list, 0o600); err != nil {
		return fmt.Errorf("save the links that let people in: %w", err)
	}
	b.links.Store(&all)
	return nil
}
