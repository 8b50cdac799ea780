package call

import (
	"encoding/json"
	"fmt"
	"strings"

	"rendezvous/conference"
	"rendezvous/mixer/video"
	"rendezvous/moderation"
)

// infoType is the content type of conference information (spec/conference.md §3).
const infoType = "application/confInfo+json"

// orderVersion is the newest version of conference orders that we understand.
const orderVersion = 1

type confInfo struct {
	H      int         `json:"h"`
	Layout int         `json:"layout"`
	P      []confEntry `json:"p"`
	V      int         `json:"v"`
	W      int         `json:"w"`
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
}

// ConferenceInfo is the room as Jami clients read it. They cut each entry with a
// size out of the mixed picture and draw its name and menu over it.
func ConferenceInfo(info *conference.Info) ([]byte, error) {
	c := confInfo{W: info.Width, H: info.Height, V: orderVersion, Layout: jamiLayout(info.Layout), P: []confEntry{}}
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
		seen := false
		for _, s := range p.Streams {
			seen = true
			e := e
			e.SinkID = streamID(p, s.Label, true)
			e.Active, e.VideoMuted = s.Active, s.Muted || !s.Video
			if r := s.Rect; !r.Empty() {
				e.X, e.Y, e.W, e.H = r.Min.X, r.Min.Y, r.Dx(), r.Dy()
			}
			withVideo = append(withVideo, e)
		}
		if !seen {
			e.SinkID, e.VideoMuted = streamID(p, "", false), true
			e.W, e.H = 10, 10
			c.P = append(c.P, e)
		}
	}
	c.P = append(c.P, withVideo...) // those with sound alone come first
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("conference information: %w", err)
	}
	return b, nil
}

// jamiLayout is the nearest layout that Jami has a number for.
func jamiLayout(l video.Layout) int {
	if l == video.SideBySide {
		return int(video.OneBigWithSmall)
	}
	return int(l)
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
