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

	"rendezvous/conference"
	"rendezvous/moderation"
)

// Scope is what a token may be used for.
type Scope string

// The scopes.
const (
	ReadRooms      Scope = "rooms:read"      // list rooms, see who is there
	WriteRooms     Scope = "rooms:write"     // make and remove rooms
	GiveOrders     Scope = "orders"          // moderate
	WriteChat      Scope = "chat"            // write into a room's chat
	ReadRecordings Scope = "recordings:read" // list and download recordings
	DropRecordings Scope = "recordings:write"
)

// Scopes are all the scopes there are.
var scopes = []Scope{ReadRooms, WriteRooms, GiveOrders, WriteChat, ReadRecordings, DropRecordings}

// ParseScope checks a scope's name, as in a config file.
func ParseScope(s string) (Scope, error) {
	if slices.Contains(scopes, Scope(s)) {
		return Scope(s), nil
	}
	return "", errors.New("no such scope: " + s)
}

// Token opens the API.
type Token struct {
	Name   string   // who has it, for the audit
	Secret string   // at least 16 characters
	Scopes []Scope  //
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

// Errors that the host's abilities answer with.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("it exists already")
	ErrFixed    = errors.New("the room is declared in the config file")
	ErrInvalid  = errors.New("invalid") // wrap it with what is wrong
)

// RoomSpec describes a room to be made.
type RoomSpec struct {
	ID           string `json:"id"` // [a-z0-9-]+, at most 64
	Title        string `json:"title,omitempty"`
	PIN          string `json:"pin,omitempty"`
	ModeratorPIN string `json:"moderatorPin,omitempty"`
	Layout       string `json:"layout,omitempty"`
	Limit        int    `json:"limit,omitempty"` // participants, 0: the host's default
	Lobby        bool   `json:"lobby,omitempty"`
	Record       bool   `json:"record,omitempty"` // from the first participant on
}

// RoomMaker makes and removes rooms while the host runs.
type RoomMaker interface {
	// CreateRoom keeps a new room; errors wrap ErrExists or ErrInvalid.
	CreateRoom(ctx context.Context, spec RoomSpec) error
	// DeleteRoom ends the room's meeting and forgets it; errors wrap ErrNotFound or ErrFixed.
	DeleteRoom(ctx context.Context, id string) error
}

// Commander carries out orders that no participant gives.
type Commander interface {
	// Command carries out an order with a role's rights, on behalf of actor ("api:NAME" in
	// the audit). The error is a *moderation.Refusal when the rules forbid it.
	Command(ctx context.Context, room *conference.Room, actor string, role moderation.Role, o moderation.Order) error
}

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
}

// File is an opened recording.
type File struct {
	io.ReadSeekCloser
	Name    string // for saving it
	Type    string
	Changed time.Time
}

// Recordings is the catalogue of recordings. Errors wrap ErrNotFound.
type Recordings interface {
	List(ctx context.Context, room string) ([]Recording, error)
	Open(ctx context.Context, room, id string) (*File, error)
	Delete(ctx context.Context, room, id string) error
}
