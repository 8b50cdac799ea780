package web

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"rendezvous/conference"
	"rendezvous/conference/audit"
	"rendezvous/moderation"
	"rendezvous/signalling/web/control"
)

// linkLife is how long a recording's link works: a long film, and a pause.
const linkLife = 6 * time.Hour

// recordings lists the room's recordings for a page, each with a link that works for a
// while without further proof, as a video element can show none.
func (s *session) recordings() recordingsMessage {
	m := recordingsMessage{Type: "recordings", List: []recordingLink{}}
	if s.door.cfg.Recordings == nil {
		m.Text = "This host keeps no recordings."
		return m
	}
	in, ok := s.mayPlay()
	if !ok {
		m.Text = "You may not see this room's recordings."
		return m
	}
	ctx, cancel := context.WithTimeout(s.door.ctx, writeTimeout)
	defer cancel()
	room := in.ID()
	list, err := s.door.cfg.Recordings.List(ctx, room)
	if err != nil {
		s.log.Error("listing recordings", "error", err)
		m.Text = "The recordings cannot be read at the moment."
		return m
	}
	expires := time.Now().Add(linkLife)
	for _, r := range list {
		film, chapters := s.door.recordingURLs(room, r.ID, s.member.ID(), expires)
		m.List = append(m.List, recordingLink{r, film, chapters})
	}
	return m
}

// mayPlay reports whether the page's person may have the recordings of the room they are in.
func (s *session) mayPlay() (*conference.Room, bool) {
	room, role, in := s.member.Role()
	least := moderation.Moderator
	switch {
	case s.door.cfg.RecordingsRole != nil:
		least = *s.door.cfg.RecordingsRole
	case room.NeedsPIN(): // which they gave, or somebody who may has let them in
		least = moderation.Speaker
	}
	return room, in && role >= least
}

// audit shows moderators the newest orders and what became of them.
func (s *session) audit() auditMessage {
	m := auditMessage{Type: "audit", List: []audit.Entry{}}
	if room, role, in := s.member.Role(); in && role >= moderation.Moderator {
		m.List = append(m.List, room.Audit(auditLines)...)
		for i := range m.List {
			m.List[i].Identity, m.List[i].TargetIdentity = "", ""
		}
	}
	return m
}

// auditLines is how many orders a page is shown.
const auditLines = 100

// Recordings is the catalogue of recordings, as the page has it.
type Recordings interface {
	control.Recordings
	// ChapterTrack opens a recording's chapters as WebVTT; the caller closes it.
	ChapterTrack(ctx context.Context, room, id string) (*control.File, error)
	// Rename gives a recording another name. A name that is none is a control.ErrConflict.
	Rename(ctx context.Context, room, id, name string) error
}

// nameRecording gives a recording of the room another name.
func (s *session) nameRecording(id, name string) error {
	room, role, in := s.member.Role()
	if !in || role < moderation.Moderator || s.door.cfg.Recordings == nil {
		return &moderation.Refusal{Reason: "Only moderators name recordings."}
	}
	ctx, cancel := context.WithTimeout(s.door.ctx, writeTimeout)
	defer cancel()
	err := s.door.cfg.Recordings.Rename(ctx, room.ID(), id, name)
	switch {
	case errors.Is(err, control.ErrConflict):
		return &moderation.Refusal{Reason: "A name has a letter at least, and at most 200."}
	case errors.Is(err, control.ErrNotFound):
		return &moderation.Refusal{Reason: "There is no such recording."}
	case err == nil:
		s.log.Info("recording named", "recording", id, "participant", s.member.ID())
	}
	return err
}

// recordingURLs are the links to a recording and to its chapters.
func (d *Door) recordingURLs(room, id, participant string, expires time.Time) (film, chapters string) {
	e := strconv.FormatInt(expires.Unix(), 10)
	path := "/rec/" + url.PathEscape(room) + "/" + url.PathEscape(id)
	query := "?p=" + url.QueryEscape(participant) + "&e=" + e + "&k=" + encode(d.recordingMAC(room, id, participant, e))
	return path + query, path + "/chapters.vtt" + query
}

func (d *Door) recordingMAC(room, id, participant, expires string) []byte {
	return mac(d.linkKey[:], room+"\n"+id+"\n"+participant+"\n"+expires)
}

// playRecording serves a recording to whoever has its link, while the page that was given it is in the
// room and may; ?save makes it a download.
func (d *Door) playRecording(w http.ResponseWriter, r *http.Request) {
	if f := d.openRecording(w, r, Recordings.Open); f != nil {
		control.Serve(w, r, f, r.URL.Query().Has("save"))
	}
}

// recordingChapters serves a recording's chapters by the same proof.
func (d *Door) recordingChapters(w http.ResponseWriter, r *http.Request) {
	if f := d.openRecording(w, r, Recordings.ChapterTrack); f != nil {
		control.Serve(w, r, f, false)
	}
}

// openRecording opens what a link leads to, or answers why not and returns nil. What it returns can be read as long as its
// person may have it: a download that has begun ends with them.
func (d *Door) openRecording(w http.ResponseWriter, r *http.Request, open func(c Recordings, ctx context.Context, room, id string) (*control.File, error)) *control.File {
	q := r.URL.Query()
	room, id, e := r.PathValue("room"), r.PathValue("id"), q.Get("e")
	k, err := base64.RawURLEncoding.DecodeString(q.Get("k"))
	expires, err2 := strconv.ParseInt(e, 10, 64)
	switch {
	case err != nil || err2 != nil || !hmac.Equal(k, d.recordingMAC(room, id, q.Get("p"), e)):
		http.Error(w, "this is not a link that the host has made", http.StatusForbidden)
		return nil
	case time.Now().Unix() >= expires:
		http.Error(w, "the link has expired; ask for the list again", http.StatusGone)
		return nil
	case d.cfg.Recordings == nil:
		http.NotFound(w, r)
		return nil
	}
	s := d.sessions.of(q.Get("p"))
	if s == nil {
		http.Error(w, "the link is of somebody who has left the meeting", http.StatusForbidden)
		return nil
	}
	may := func() bool {
		in, may := s.mayPlay()
		return may && in.ID() == room
	}
	if !may() || s.device != "" && s.device != deviceOf(r) { // it is of the browser that was given it
		http.Error(w, "you may not see this room's recordings", http.StatusForbidden)
		return nil
	}
	f, err := open(d.cfg.Recordings, r.Context(), room, id)
	if err != nil {
		if !errors.Is(err, control.ErrNotFound) {
			d.log.Error("opening a recording", "room", room, "recording", id, "error", err)
		}
		http.NotFound(w, r)
		return nil
	}
	f.ReadSeekCloser = whileAllowed{f.ReadSeekCloser, may}
	return f
}

// whileAllowed is a file that can be read as long as somebody may.
type whileAllowed struct {
	io.ReadSeekCloser
	may func() bool
}

var errNotAllowed = errors.New("who reads it may not any longer")

// Read is io.Reader's.
func (f whileAllowed) Read(p []byte) (int, error) {
	if !f.may() {
		return 0, errNotAllowed
	}
	return f.ReadSeekCloser.Read(p)
}

// statusOf is a refusal in HTTP, for those who do not speak the page's protocol.
func statusOf(err error) (status int, text string) {
	var r *conference.Refusal
	if !errors.As(err, &r) {
		return http.StatusInternalServerError, "something went wrong on the host"
	}
	switch r.Code {
	case conference.RefusedNoRoom:
		status = http.StatusNotFound
	case conference.RefusedPIN, refusedToken:
		status = http.StatusUnauthorized
	case refusedTooMany:
		status = http.StatusTooManyRequests
	case conference.RefusedFull, conference.RefusedDraining, conference.RefusedBusy:
		status = http.StatusServiceUnavailable
	default: // locked, banned, closed
		status = http.StatusForbidden
	}
	return status, r.Text
}
