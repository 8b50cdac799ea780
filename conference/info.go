package conference

import (
	"fmt"
	"image"
	"strings"
	"time"

	"rendezvous/mixer/leg"
	"rendezvous/moderation"
)

// Info is a room at one moment, the same for every door. A new one is made on
// each change, at most ten a second, in rooms of more than a hundred fewer (one a second in those of a thousand); it is
// never written after it is published.
type Info struct {
	Room         string               `json:"room"`
	Title        string               `json:"title"`
	Serial       uint64               `json:"serial"` // grows with every snapshot
	Width        int                  `json:"width"`  // of the canvas, pixels
	Height       int                  `json:"height"`
	Layout       moderation.Layout    `json:"layout"`
	Recording    moderation.Recording `json:"recording"` // "off", "on", "paused"
	Locked       bool                 `json:"locked"`
	Lobby        bool                 `json:"lobby"` // newcomers wait
	Lecture      bool                 `json:"lecture"`
	SelfUnmute   bool                 `json:"selfUnmute"`
	HideNonVideo bool                 `json:"hideNonVideo"`
	EndWithHost  bool                 `json:"endWithHost"`
	Began        *time.Time           `json:"began,omitempty"` // of the meeting; nil: nobody has been admitted
	Ends         *time.Time           `json:"ends,omitempty"`  // when its time is up, if that is limited
	Max          int                  `json:"max,omitempty"`   // participants; 0: no limit
	Participants []Participant        `json:"participants"`    // in order of arrival; those in the lobby included
}

// Find returns the participant meant by text that a person typed: an id, a name
// (case does not matter), or the beginning of just one name. The error says
// what was wrong with it.
func (i *Info) Find(text string) (*Participant, error) {
	text = strings.TrimSpace(text)
	var begin []*Participant
	for n := range i.Participants {
		p := &i.Participants[n]
		if p.ID == text || strings.EqualFold(p.Name, text) {
			return p, nil // names are unique in a room
		}
		if text != "" && len(p.Name) >= len(text) && strings.EqualFold(p.Name[:len(text)], text) {
			begin = append(begin, p)
		}
	}
	switch len(begin) {
	case 1:
		return begin[0], nil
	case 0:
		return nil, fmt.Errorf("nobody here is called %.64q", text)
	}
	return nil, fmt.Errorf("%d people here have names that begin with %.64q", len(begin), text)
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
	TalkTime   float64         `json:"talkTime"`            // seconds of speech since they joined
	Level      uint8           `json:"level"`               // loudness when this was made, in -dBov: 0 loudest, 127 silence
	Recording  bool            `json:"recording,omitempty"` // records on their own side (Jami)
	Streams    []Stream        `json:"streams"`
	Network    leg.Class       `json:"network,omitempty"` // of their path; changes seldom
	Quality    leg.Quality     `json:"-"`                 // the figures, at most a second old
}

// Stream is one picture a participant sends.
type Stream struct {
	Label  string          `json:"label"` // "main", "screen"
	Rect   image.Rectangle `json:"rect"`  // of the picture on the canvas; empty if not shown
	Active bool            `json:"active,omitempty"`
	Video  bool            `json:"video"`           // a moving picture is there
	Muted  bool            `json:"muted,omitempty"` // hidden by a moderator
}
