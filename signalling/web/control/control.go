// Package control is the HTTP API that programs run the rooms with: JSON over HTTP,
// opened by bearer tokens with scopes. openapi.yaml describes it, and a test holds
// the two together.
package control

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"rendezvous/conference"
	"rendezvous/mixer/video"
	"rendezvous/moderation"
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

// RoomSpec describes a room to be made.
type RoomSpec struct {
	ID           string `json:"id"` // [a-z0-9-]+
	Title        string `json:"title,omitempty"`
	PIN          string `json:"pin,omitempty"`
	ModeratorPIN string `json:"moderatorPin,omitempty"`
	Layout       string `json:"layout,omitempty"`    // as in orders; default "grid"
	Limit        int    `json:"limit,omitempty"`     // participants, 0: none
	Lobby        bool   `json:"lobby,omitempty"`     // newcomers wait
	Recording    string `json:"recording,omitempty"` // "never", "on-demand" (default), "auto", "always"
}

// config is the room as the host takes it, with an error wrapping errInvalid if it cannot.
func (s RoomSpec) config() (conference.RoomConfig, error) {
	rc := conference.RoomConfig{
		ID: s.ID, Title: s.Title, PIN: s.PIN, ModeratorPIN: s.ModeratorPIN, DefaultRole: moderation.Speaker,
		Lobby: s.Lobby, SelfUnmute: true, MuteHowling: true, MaxParticipants: s.Limit, Recording: moderation.RecordPolicy(s.Recording),
	}
	layout := slices.Index(layouts, s.Layout)
	switch {
	case s.Layout != "" && layout < 0:
		return rc, fmt.Errorf("%w: layout is one of %s", errInvalid, strings.Join(layouts, ", "))
	case utf8.RuneCountInString(s.Title) > 200:
		return rc, fmt.Errorf("%w: title: at most 200 characters", errInvalid)
	}
	rc.Layout = video.Layout(max(layout, 0))
	for _, pin := range []string{s.PIN, s.ModeratorPIN} {
		if len(pin) > 32 || strings.Trim(pin, "0123456789") != "" {
			return rc, fmt.Errorf("%w: a PIN has at most 32 digits, so that phones can enter it", errInvalid)
		}
	}
	if err := rc.Check(); err != nil {
		return rc, fmt.Errorf("%w: %w", errInvalid, err)
	}
	return rc, nil
}

// layouts are the layouts' names in orders, by their numbers.
var layouts = []string{"grid", "one-big-with-small", "one-big", "side-by-side"}

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
	// Delete removes a recording with all its files. One that is being made is an ErrConflict.
	Delete(ctx context.Context, room, id string) error
}
