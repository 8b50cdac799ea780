package conference

import (
	"image"
	"time"

	"rendezvous/mixer/video"
	"rendezvous/moderation"
)

// Info is a room at one moment, the same for every door. A new one is made on
// each change, at most ten a second; it is never written after it is published.
type Info struct {
	Room         string        `json:"room"`
	Title        string        `json:"title"`
	Serial       uint64        `json:"serial"` // grows with every snapshot
	Width        int           `json:"width"`  // of the canvas, pixels
	Height       int           `json:"height"`
	Layout       video.Layout  `json:"layout"`
	Recording    string        `json:"recording"` // "off", "on", "paused"
	Locked       bool          `json:"locked"`
	Lobby        bool          `json:"lobby"` // newcomers wait
	Lecture      bool          `json:"lecture"`
	SelfUnmute   bool          `json:"selfUnmute"`
	Participants []Participant `json:"participants"` // in order of arrival; those in the lobby included
}

// Participant is one participant as shown to others.
type Participant struct {
	ID         string          `json:"id"` // unique in the host's life, not secret
	Name       string          `json:"name"`
	Door       string          `json:"door"`
	Address    string          `json:"address,omitempty"`
	Connection string          `json:"connection"`
	Session    string          `json:"-"`
	Device     string          `json:"-"`
	Identity   string          `json:"-"`
	Role       moderation.Role `json:"role"`
	Joined     time.Time       `json:"joined"`
	Waiting    bool            `json:"waiting,omitempty"` // in the lobby
	Muted      bool            `json:"muted"`             // by a moderator
	SelfMuted  bool            `json:"selfMuted"`
	Talking    bool            `json:"talking"`
	Hand       *time.Time      `json:"hand,omitempty"` // raised since
	Floor      bool            `json:"floor,omitempty"`
	Recording  bool            `json:"recording,omitempty"` // records on his own side (Jami)
	Streams    []Stream        `json:"streams"`
}

// Stream is one picture a participant sends.
type Stream struct {
	Label  string          `json:"label"` // "main", "screen"
	Rect   image.Rectangle `json:"rect"`  // of the picture on the canvas; empty if not shown
	Active bool            `json:"active,omitempty"`
	Video  bool            `json:"video"`           // a moving picture is there
	Muted  bool            `json:"muted,omitempty"` // hidden by a moderator
}
