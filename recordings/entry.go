package recordings

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"time"
)

// State says what has become of a recording.
type State string

// The states.
const (
	Running   State = "running"
	Complete  State = "complete"
	Failed    State = "failed"    // ended early; what there is can be played
	Recovered State = "recovered" // the host crashed; what there is can be played
	Damaged   State = "damaged"   // Error says why it cannot be played; it lies there untouched, and Repair may help

	// These are what List and Get say of a recording at the moment, and are in no catalogue.
	Recovering State = "recovering" // its end is being looked for, or it is being repaired
	Missing    State = "missing"    // its folder is not there; it comes back with it
)

// Entry is a recording as the catalogue knows it.
type Entry struct {
	ID       string    `json:"id"`
	Room     string    `json:"room"`
	Title    string    `json:"title"`
	By       string    `json:"by,omitempty"` // name of who started it; "": the room's policy
	State    State     `json:"state"`
	Error    string    `json:"error,omitempty"` // why it failed or is damaged, or what a repair has left out
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended,omitzero"`
	Duration float64   `json:"duration"` // seconds that can be played
	Size     int64     `json:"size"`     // bytes, all files
	Width    int       `json:"width"`
	Height   int       `json:"height"`
	People   int       `json:"people"` // how many were there
	Files    []File    `json:"files"`  // the first is the meeting
	Archived string    `json:"archived,omitempty"`
}

// File is one file of a recording: the meeting, or the sound of one participant. Its size is
// in bytes, in the clear; both it and the hash are there when the recording has ended.
type File struct {
	Name        string `json:"name"` // in the recording's folder
	Type        string `json:"type"` // media type
	Participant string `json:"participant,omitempty"`
	Title       string `json:"title,omitempty"`
	Size        int64  `json:"size"`
	SHA3        string `json:"sha3_512,omitempty"` // hex
}

// Sidecar is all that is known of a recording; it lies beside it as meeting.json.
// Times of speech and chapters are seconds of the recording.
type Sidecar struct {
	Entry
	Participants []Presence `json:"participants"`
	Speech       []Speech   `json:"speech"`
	Chapters     []Chapter  `json:"chapters"`
}

// Presence is one participant's stay, of whom there may be several.
type Presence struct {
	ID     string    `json:"id"`
	Name   string    `json:"name"`
	Door   string    `json:"door,omitempty"`
	Joined time.Time `json:"joined"`
	Left   time.Time `json:"left,omitzero"` // zero: to the end
}

// Speech is somebody speaking. From and To are seconds of the recording.
type Speech struct {
	Participant string  `json:"participant"`
	From        float64 `json:"from"`
	To          float64 `json:"to"`
}

// Chapter is a part of the recording, named after whose turn it is. From and To are seconds of the recording.
type Chapter struct {
	Title       string  `json:"title"`
	Participant string  `json:"participant"`
	From        float64 `json:"from"`
	To          float64 `json:"to"`
}

// The files of a recording's folder.
const (
	meetingFile = "meeting.mp4"
	sidecarFile = "meeting.json"
	// ChaptersFile has the chapters as WebVTT, by which a player finds its way.
	ChaptersFile = "chapters.vtt"
)

// What can be wrong with a request.
var (
	ErrNotFound = errors.New("there is no such recording")
	ErrRunning  = errors.New("the recording is still being made")
	ErrClosed   = errors.New("the recordings are closed")

	// ErrRecovering says that a recording has to be finished or repaired first.
	ErrRecovering = errors.New("the recording is being recovered")
	// ErrDamaged says that what was recorded cannot be played as it lies there. What it wraps says why.
	ErrDamaged = errors.New("the recording is damaged")
	// ErrAway says that the folder of the recordings is not the one that it should be.
	ErrAway = errors.New("the folder of the recordings is not there")
)

var (
	validID   = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$`)
	validRoom = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
)

// unfinished tells whether the end of a recording is yet to be found, by a start.
func (e *Entry) unfinished() bool {
	return e.State != Damaged && (e.State == Running || e.Ended.IsZero())
}

// check refuses an entry that was not written by this package: ids, rooms and file
// names become paths.
func (e *Entry) check() error {
	switch {
	case !validID.MatchString(e.ID):
		return fmt.Errorf("recording id %.40q", e.ID)
	case !validRoom.MatchString(e.Room):
		return fmt.Errorf("recording %s: room %.40q", e.ID, e.Room)
	case e.State != Running && e.State != Complete && e.State != Failed && e.State != Recovered && e.State != Damaged:
		return fmt.Errorf("recording %s: state %.40q", e.ID, e.State)
	case e.Size < 0 || !(e.Duration >= 0):
		return fmt.Errorf("recording %s: negative size or duration", e.ID)
	case len(e.Files) == 0:
		return fmt.Errorf("recording %s: without files", e.ID)
	}
	for _, f := range e.Files {
		if f.Name == "" || f.Name != filepath.Base(f.Name) || f.Name[0] == '.' || f.Size < 0 {
			return fmt.Errorf("recording %s: file %.80q", e.ID, f.Name)
		}
	}
	return nil
}
