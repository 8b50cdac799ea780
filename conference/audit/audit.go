// Package audit keeps the record of what was ordered in the rooms: who, about
// whom, when, and whether it was done or refused. A Ring holds a room's newest
// entries for reading; a File keeps all of them as JSON lines.
package audit

import (
	"time"

	"rendezvous/moderation"
)

// Entry is one order and what became of it.
type Entry struct {
	Time time.Time `json:"time"`
	Room string    `json:"room"`

	Actor    string `json:"actor,omitempty"` // participant id; "" if from outside the room or by the room itself
	Name     string `json:"name"`
	Identity string `json:"identity,omitempty"`
	Door     string `json:"door"`
	Role     string `json:"role"`

	Target         string `json:"target,omitempty"` // participant id, or what the order named
	TargetName     string `json:"targetName,omitempty"`
	TargetIdentity string `json:"targetIdentity,omitempty"`

	Order  moderation.Order `json:"order"` // the text of chat is left out
	Result Result           `json:"result"`
	Reason string           `json:"reason,omitempty"` // why it was refused, or what was not as expected
}

// Result says what became of an order.
type Result string

// The results.
const (
	Done    Result = "done"
	Refused Result = "refused"
)

// Ring holds the newest entries. It is not safe for concurrent use.
type Ring struct {
	entries []Entry
	size    int
	next    int // where the next goes once the ring is full
}

// NewRing returns a ring of the newest size entries.
func NewRing(size int) *Ring { return &Ring{size: size} }

// Add appends e and forgets the oldest if the ring is full.
func (r *Ring) Add(e Entry) {
	if len(r.entries) < r.size {
		r.entries = append(r.entries, e)
		return
	}
	r.entries[r.next] = e
	r.next = (r.next + 1) % r.size
}

// Last returns the newest n entries, oldest first; all for n <= 0.
func (r *Ring) Last(n int) []Entry {
	if n <= 0 || n > len(r.entries) {
		n = len(r.entries)
	}
	out := make([]Entry, 0, n)
	for i := len(r.entries) - n; i < len(r.entries); i++ {
		out = append(out, r.entries[(r.next+i)%len(r.entries)])
	}
	return out
}
