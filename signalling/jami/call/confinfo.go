package call

import (
	"encoding/json"
	"fmt"
	"image"
	"slices"
	"strings"

	"rendezvous/conference"
	"rendezvous/moderation"
)

// infoType is the content type of conference information (docs/jami/conference.md#conference-information).
const infoType = "application/confInfo+json"

// orderVersion is the newest version of conference orders that we understand.
const orderVersion = 1

// soundSize is the width and height that is said of somebody without a picture.
const soundSize = 10

// maxInfo bounds conference information, in bytes: Jami devices take no SIP message of more
// than 8000 (docs/jami/calls.md#sip-on-a-channel), and about 900 of them are headers.
const maxInfo = 6800

type confInfo struct {
	H      int               `json:"h"`
	Layout int               `json:"layout"`
	P      []json.RawMessage `json:"p"`
	V      int               `json:"v"`
	W      int               `json:"w"`
}

// confEntry is one stream of a participant; the fields stand in the order of the captures.
type confEntry struct {
	Active              bool   `json:"active"`
	AudioLocalMuted     bool   `json:"audioLocalMuted"`
	AudioModeratorMuted bool   `json:"audioModeratorMuted"`
	Device              string `json:"device"`
	H                   int    `json:"h"`
	HandRaised          bool   `json:"handRaised"`
	IsModerator         bool   `json:"isModerator"`
	Recording           bool   `json:"recording"`
	SinkID              string `json:"sinkId"`
	URI                 string `json:"uri"`
	VideoMuted          bool   `json:"videoMuted"`
	VoiceActivity       bool   `json:"voiceActivity"`
	W                   int    `json:"w"`
	X                   int    `json:"x"`
	Y                   int    `json:"y"`

	rank int // what is left out first has the highest
}

// shortEntry is confEntry without what is false or zero, which readers assume where nothing is said.
type shortEntry struct {
	Active              bool   `json:"active,omitempty"`
	AudioLocalMuted     bool   `json:"audioLocalMuted,omitempty"`
	AudioModeratorMuted bool   `json:"audioModeratorMuted,omitempty"`
	Device              string `json:"device"`
	H                   int    `json:"h,omitempty"`
	HandRaised          bool   `json:"handRaised,omitempty"`
	IsModerator         bool   `json:"isModerator,omitempty"`
	Recording           bool   `json:"recording,omitempty"`
	SinkID              string `json:"sinkId"`
	URI                 string `json:"uri"`
	VideoMuted          bool   `json:"videoMuted,omitempty"`
	VoiceActivity       bool   `json:"voiceActivity,omitempty"`
	W                   int    `json:"w,omitempty"`
	X                   int    `json:"x,omitempty"`
	Y                   int    `json:"y,omitempty"`

	rank int
}

// The order in which entries are left out of a large room's information, last first.
const (
	rankSelf   = iota // the reader
	rankShown         // who has a tile, which clients name and cut out
	rankHand          // who wants to speak
	rankActive        // who speaks, or runs the meeting
	rankVideo         // who sends a picture that is not shown
	rankSound         // the others
)

// ConferenceInfo is the room as Jami clients read it. They cut each entry with a
// size out of the mixed picture, by pixels of the picture as it comes to them, and draw its name and menu over it: shown is the
// size of what the reader is sent, zero if that is the room's own. In a large room
// those entries are left out that can be missed best; self is the reader's id, who is
// never left out. It fails only for what cannot be written as JSON.
func ConferenceInfo(info *conference.Info, self string, shown image.Point) ([]byte, error) {
	room := image.Pt(info.Width, info.Height)
	if shown.X <= 0 || shown.Y <= 0 || room.X <= 0 || room.Y <= 0 {
		shown = room
	}
	c := confInfo{W: shown.X, H: shown.Y, V: orderVersion, Layout: jamiLayout(info)}
	entries := confEntries(info, self)
	if shown != room {
		for i := range entries {
			entries[i].shrink(room, shown)
		}
	}
	for _, shorten := range []bool{false, true} {
		rows, err := marshalEntries(entries, shorten)
		if err != nil {
			return nil, fmt.Errorf("conference information: %w", err)
		}
		c.P = rows
		if !shorten && size(rows) <= maxInfo {
			break
		}
		if shorten {
			c.P = fitting(entries, rows)
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("conference information: %w", err)
	}
	return b, nil
}

// shrink takes an entry's place in a picture of one size to one of another. It stays on even pixels, as two rows and columns share their colour.
func (e *confEntry) shrink(from, to image.Point) {
	if e.X+e.Y == 0 && e.W == soundSize && e.H == soundSize { // no picture
		return
	}
	left, top := e.X*to.X/from.X&^1, e.Y*to.Y/from.Y&^1
	right, bottom := (e.X+e.W)*to.X/from.X&^1, (e.Y+e.H)*to.Y/from.Y&^1
	e.X, e.Y, e.W, e.H = left, top, right-left, bottom-top
}

func marshalEntries(entries []confEntry, shorten bool) ([]json.RawMessage, error) {
	rows := make([]json.RawMessage, 0, len(entries))
	for _, e := range entries {
		var v any = e
		if shorten {
			v = shortEntry(e)
		}
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		rows = append(rows, b)
	}
	return rows, nil
}

// size is how many bytes rows take with all around them, at most.
func size(rows []json.RawMessage) int {
	n := 64
	for _, r := range rows {
		n += len(r) + 1
	}
	return n
}

// fitting are those rows that may be sent, in their order.
func fitting(entries []confEntry, rows []json.RawMessage) []json.RawMessage {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return entries[a].rank - entries[b].rank })
	keep := make([]bool, len(rows))
	total := size(nil)
	for _, i := range order {
		if total+len(rows[i])+1 > maxInfo {
			break
		}
		total += len(rows[i]) + 1
		keep[i] = true
	}
	out := rows[:0]
	for i, r := range rows {
		if keep[i] {
			out = append(out, r)
		}
	}
	return out
}

// confEntries are the rows of all who are in the room, those with sound alone first.
func confEntries(info *conference.Info, self string) []confEntry {
	sound := []confEntry{}
	var withVideo []confEntry
	for i := range info.Participants {
		p := &info.Participants[i]
		if p.Waiting {
			continue
		}
		e := confEntry{
			AudioLocalMuted: p.SelfMuted, AudioModeratorMuted: p.Muted, Device: deviceOf(p),
			HandRaised: p.Hand != nil, IsModerator: p.Role >= moderation.Moderator,
			Recording: p.Recording || info.Recording == "on", URI: uriOf(p), VoiceActivity: p.Talking,
		}
		switch {
		case p.ID == self:
			e.rank = rankSelf
		case p.Hand != nil:
			e.rank = rankHand
		case p.Talking || e.IsModerator:
			e.rank = rankActive
		case len(p.Streams) > 0:
			e.rank = rankVideo
		default:
			e.rank = rankSound
		}
		seen := false
		for _, s := range p.Streams {
			seen = true
			e := e
			e.SinkID = streamID(p, s.Label, true)
			e.Active, e.VideoMuted = s.Active, s.Muted || !s.Video
			if r := s.Rect; !r.Empty() {
				e.X, e.Y, e.W, e.H = r.Min.X, r.Min.Y, r.Dx(), r.Dy()
				e.rank = min(e.rank, rankShown)
			}
			withVideo = append(withVideo, e)
		}
		if !seen {
			e.SinkID, e.VideoMuted = streamID(p, "", false), true
			e.W, e.H = soundSize, soundSize
			sound = append(sound, e)
		}
	}
	return append(sound, withVideo...)
}

// uriOf names a participant. Jami callers go by their account; the others, whom no
// Jami account stands for, by their name and the door they came through.
func uriOf(p *conference.Participant) string {
	if account, ok := strings.CutPrefix(p.Identity, "jami:"); ok {
		return account + "@ring.dht"
	}
	name := strings.Map(func(r rune) rune {
		if r == '@' || r == '/' || r < ' ' {
			return '_'
		}
		return r
	}, p.Name)
	if name == "" {
		name = p.ID
	}
	return name + "@" + p.Door
}

// deviceOf is the device of a Jami caller, and the participant's id for others,
// so that orders about them find their target.
func deviceOf(p *conference.Participant) string {
	if p.Device != "" {
		return p.Device
	}
	return p.ID
}

// streamID names a participant's stream in conference information and orders.
func streamID(p *conference.Participant, label string, isVideo bool) string {
	session := p.Session
	if session == "" {
		session = p.ID
	}
	switch {
	case !isVideo:
		return session + "_audio_0"
	case label == "screen":
		return session + "_video_1"
	}
	return session + "_video_0"
}
