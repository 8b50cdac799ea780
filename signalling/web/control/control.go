// Package control is the HTTP API that programs run the rooms with: JSON over HTTP,
// opened by bearer tokens with scopes. openapi.yaml describes it, and a test holds
// the two together.
package control

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"slices"
	"time"
)

// Scope is what a token may be used for.
type Scope string

// The scopes.
const (
	ReadRooms      Scope = "rooms:read"       // list rooms, see who is there
	WriteRooms     Scope = "rooms:write"      // make and remove rooms
	GiveOrders     Scope = "orders"           // give orders as a host does, read the audit
	WriteChat      Scope = "chat"             // write into a room's chat
	ReadRecordings Scope = "recordings:read"  // list and download recordings
	DropRecordings Scope = "recordings:write" // delete recordings
	ReadContacts   Scope = "contacts:read"    // list a room's contacts, and who asks to be one
	WriteContacts  Scope = "contacts:write"   // accept, add, ban and remove them
)

// Scopes are all the scopes there are.
var scopes = []Scope{ReadRooms, WriteRooms, GiveOrders, WriteChat, ReadRecordings, DropRecordings, ReadContacts, WriteContacts}

// ParseScope checks a scope's name, as in a config file. A name that is none of the Scopes
// is an error, which quotes it.
func ParseScope(s string) (Scope, error) {
	if slices.Contains(scopes, Scope(s)) {
		return Scope(s), nil
	}
	return "", errors.New("no such scope: " + s)
}

// Token is what a program has to open the API: which parts of it, and of which rooms.
type Token struct {
	Name   string   // who has it, for the audit
	Secret string   // at least 16 characters
	Scopes []Scope  // what may be done with it; none: nothing
	Rooms  []string // only these rooms; none: all
}

func (t *Token) allows(s Scope, room string) bool {
	return slices.Contains(t.Scopes, s) && (room == "" || len(t.Rooms) == 0 || slices.Contains(t.Rooms, room))
}

// find returns the token with this secret, looking at all of them in constant time.
func find(tokens []Token, secret string) *Token {
	got := sha256.Sum256([]byte(secret))
	var found *Token
	for i := range tokens {
		want := sha256.Sum256([]byte(tokens[i].Secret))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			found = &tokens[i]
		}
	}
	return found
}

// ErrNotFound is wrapped by a catalogue that does not know a recording, and by Contacts.
var ErrNotFound = errors.New("not found")

// ErrConflict is wrapped by a catalogue whose recording cannot be deleted as it is now.
var ErrConflict = errors.New("not now")

// errInvalid is wrapped by what is wrong with a request that could be read.
var errInvalid = errors.New("invalid")

// Recording is one entry of the catalogue.
type Recording struct {
	ID       string    `json:"id"`
	Room     string    `json:"room"`
	Title    string    `json:"title,omitempty"`
	Started  time.Time `json:"started"`
	Duration float64   `json:"duration"` // seconds
	Size     int64     `json:"size"`     // bytes
	Type     string    `json:"type"`     // media type, "video/mp4"
	Live     bool      `json:"live"`     // still being written
	State    string    `json:"state"`    // recordings.State: "complete", "damaged", …
	Error    string    `json:"error,omitempty"`
}

// Chapter is a part of a recording. From and To are seconds of it.
type Chapter struct {
	Title       string  `json:"title"`
	Participant string  `json:"participant"` // id, of whose turn it is
	From        float64 `json:"from"`
	To          float64 `json:"to"`
}

// File is an opened recording.
type File struct {
	io.ReadSeekCloser
	Name    string // for saving it
	Type    string
	Changed time.Time
}

// Recordings is the catalogue of recordings. Errors wrap ErrNotFound and, of Delete, ErrConflict.
type Recordings interface {
	// List has a room's recordings, the newest first.
	List(ctx context.Context, room string) ([]Recording, error)
	// Open opens the film of a recording, in the clear; the caller closes it.
	Open(ctx context.Context, room, id string) (*File, error)
	// Chapters are the turns of a recording's speakers, in order; none while it is being made.
	Chapters(ctx context.Context, room, id string) ([]Chapter, error)
	// Delete removes a recording with all its files. One that is being made is an ErrConflict.
	Delete(ctx context.Context, room, id string) error
}
