package web

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"errors"
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
		m.List = append(m.List, recordingLink{r, s.door.recordingURL(room, r.ID, s.member.ID(), expires)})
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

func (d *Door) recordingURL(room, id, participant string, expires time.Time) string {
	e := strconv.FormatInt(expires.Unix(), 10)
	return "/rec/" + url.PathEscape(room) + "/" + url.PathEscape(id) + "?p=" + url.QueryEscape(participant) + "&e=" + e +
		"&k=" + encode(d.recordingMAC(room, id, participant, e))
}

func (d *Door) recordingMAC(room, id, participant, expires string) []byte {
	return mac(d.linkKey[:], room+"\n"+id+"\n"+participant+"\n"+expires)
}

// playRecording serves a recording to whoever has its link, while the page that was given it is in the
// room and may; ?save makes it a download.
func (d *Door) playRecording(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	room, id, e := r.PathValue("room"), r.PathValue("id"), q.Get("e")
	k, err := base64.RawURLEncoding.DecodeString(q.Get("k"))
	expires, err2 := strconv.ParseInt(e, 10, 64)
	switch {
	case err != nil || err2 != nil || !hmac.Equal(k, d.recordingMAC(room, id, q.Get("p"), e)):
		http.Error(w, "this is not a link that the host has made", http.StatusForbidden)
		return
	case time.Now().Unix() >= expires:
		http.Error(w, "the link has expired; ask for the list again", http.StatusGone)
		return
	case d.cfg.Recordings == nil:
		http.NotFound(w, r)
		return
	}
	s := d.sessions.of(q.Get("p"))
	if s == nil {
		http.Error(w, "the link is of somebody who has left the meeting", http.StatusForbidden)
		return
	}
	if in, may := s.mayPlay(); !may || in.ID() != room {
		http.Error(w, "you may not see this room's recordings", http.StatusForbidden)
		return
	}
	f, err := d.cfg.Recordings.Open(r.Context(), room, id)
	if err != nil {
		if !errors.Is(err, control.ErrNotFound) {
			d.log.Error("opening a recording", "room", room, "recording", id, "error", err)
		}
		http.NotFound(w, r)
		return
	}
	control.Serve(w, r, f, q.Has("save"))
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
