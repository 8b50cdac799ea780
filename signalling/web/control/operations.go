package control

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"time"

	"rendezvous/conference"
	"rendezvous/conference/audit"
	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

// Room is a room as the API shows it.
type Room struct {
	ID           string   `json:"id"`
	Title        string   `json:"title"`
	Addresses    []string `json:"addresses"`
	Pending      []string `json:"pending,omitempty"`
	NeedsPIN     bool     `json:"needsPin"`
	Participants int      `json:"participants"`
	Waiting      int      `json:"waiting"`
	Recording    string   `json:"recording"`
	Locked       bool     `json:"locked"`
}

func (a *API) describe(r *conference.Room) Room {
	info := r.Info()
	out := Room{
		ID: r.ID(), Title: r.Title(), NeedsPIN: r.NeedsPIN(), Addresses: []string{},
		Recording: string(info.Recording), Locked: info.Locked,
	}
	if a.Addresses != nil {
		out.Addresses = append(out.Addresses, a.Addresses(r.ID())...)
	}
	if a.Pending != nil {
		out.Pending = a.Pending(r.ID())
	}
	for _, p := range info.Participants {
		if p.Waiting {
			out.Waiting++
		} else {
			out.Participants++
		}
	}
	return out
}

func (a *API) listRooms(w http.ResponseWriter, _ *http.Request, t *Token) error {
	list := []Room{}
	for _, r := range a.Host.Rooms() {
		if t.allows(ReadRooms, r.ID()) {
			list = append(list, a.describe(r))
		}
	}
	return reply(w, http.StatusOK, list)
}

func (a *API) createRoom(w http.ResponseWriter, r *http.Request, t *Token) error {
	var body json.RawMessage
	if err := decode(r, &body); err != nil {
		return err
	}
	wanted, err := readRoom(body)
	if err != nil {
		return err
	}
	if !t.allows(WriteRooms, wanted.ID) {
		return &problem{Status: http.StatusForbidden, Detail: "the token is not for this room"}
	}
	if _, err := a.Host.Room(wanted.ID); err != nil && a.Links != nil {
		// Those of a former room of this name: one that the configuration has named, or that a crash has left.
		if err := a.Links.RevokeAll(wanted.ID); err != nil {
			return err
		}
	}
	room, err := a.Host.Create(wanted)
	if err != nil {
		return fmt.Errorf("room %s: %w", wanted.ID, err)
	}
	w.Header().Set("Location", "/api/v1/rooms/"+wanted.ID)
	return reply(w, http.StatusCreated, a.describe(room))
}

func (a *API) getRoom(w http.ResponseWriter, r *http.Request, _ *Token) error {
	room, err := a.Host.Room(r.PathValue("room"))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, a.describe(room))
}

// mergePatch is the media type of RFC 7396.
const mergePatch = "application/merge-patch+json"

func (a *API) changeRoom(w http.ResponseWriter, r *http.Request, t *Token) error {
	var patch json.RawMessage
	if err := decodeAs(r, &patch, mergePatch, "application/json"); err != nil {
		w.Header().Set("Accept-Patch", mergePatch)
		return err
	}
	id := r.PathValue("room")
	now, err := a.Host.Change(id, func(s settings.Room) (settings.Room, error) {
		if match := r.Header.Get("If-Match"); match != "" && match != "*" && match != etag(s) {
			return s, &problem{Status: http.StatusPreconditionFailed, Detail: "the room has been changed by another"}
		}
		return patchRoom(s, patch)
	})
	if err != nil {
		return fmt.Errorf("room %s: %w", id, err)
	}
	a.Log.Info("room changed", "room", id, "token", t.Name)
	room, err := a.Host.Room(id)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(now))
	return reply(w, http.StatusOK, a.describe(room))
}

// settings are shown to who may change them: the PINs are among them.
func (a *API) settings(w http.ResponseWriter, r *http.Request, _ *Token) error {
	room, err := a.Host.Room(r.PathValue("room"))
	if err != nil {
		return err
	}
	s := room.Settings()
	w.Header().Set("ETag", etag(s))
	return reply(w, http.StatusOK, s)
}

// etag names the state of a room's settings (RFC 9110 section 8.8.3).
func etag(s settings.Room) string {
	text, _ := json.Marshal(s) // texts, numbers and lists: it cannot fail
	sum := sha256.Sum256(text)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

func (a *API) deleteRoom(w http.ResponseWriter, r *http.Request, _ *Token) error {
	id := r.PathValue("room")
	if err := a.Host.Delete(id); err != nil {
		return fmt.Errorf("room %s: %w", id, err)
	}
	if a.Links != nil {
		if err := a.Links.RevokeAll(id); err != nil {
			a.Log.Warn("links into a room that is deleted are still kept", "room", id, "error", err)
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) participants(w http.ResponseWriter, r *http.Request, _ *Token) error {
	room, err := a.Host.Room(r.PathValue("room"))
	if err != nil {
		return err
	}
	list := []participant{}
	for _, p := range room.Info().Participants {
		list = append(list, participant{p, NetworkOf(p.Quality, p.Network)})
	}
	return reply(w, http.StatusOK, list)
}

func (a *API) order(w http.ResponseWriter, r *http.Request, t *Token) error {
	var o moderation.Order
	if err := decode(r, &o); err != nil {
		return err
	}
	return a.command(w, r, t, o)
}

func (a *API) chat(w http.ResponseWriter, r *http.Request, t *Token) error {
	var m struct {
		Text string `json:"text"`
	}
	if err := decode(r, &m); err != nil {
		return err
	}
	return a.command(w, r, t, moderation.Order{Action: moderation.Chat, Text: m.Text})
}

// command gives an order with a host's rights, on behalf of the token's owner.
func (a *API) command(w http.ResponseWriter, r *http.Request, t *Token, o moderation.Order) error {
	room, err := a.Host.Room(r.PathValue("room"))
	if err != nil {
		return err
	}
	if err := o.Check(); err != nil {
		return fmt.Errorf("%w: %w", errInvalid, err)
	}
	by := conference.Operator{Name: t.Name, Identity: "api:" + t.Name, Door: "api", Role: moderation.Host,
		Elsewhere: func(room string) bool { return t.allows(GiveOrders, room) }}
	if o.Action == moderation.Move && !by.Elsewhere(o.Text) {
		return &problem{Status: http.StatusForbidden, Detail: "the token is not for the room to move them to"}
	}
	if err := room.Order(by, o); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) history(w http.ResponseWriter, r *http.Request, _ *Token) error {
	room, err := a.Host.Room(r.PathValue("room"))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, append([]conference.Message{}, room.History()...))
}

// auditLines is how much of the audit is shown at once.
const auditLines = 500

func (a *API) audit(w http.ResponseWriter, r *http.Request, _ *Token) error {
	room, err := a.Host.Room(r.PathValue("room"))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, append([]audit.Entry{}, room.Audit(auditLines)...))
}

func (a *API) listBans(w http.ResponseWriter, r *http.Request, _ *Token) error {
	room, err := a.Host.Room(r.PathValue("room"))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, append([]conference.Ban{}, room.Bans()...))
}

// liftBan gives the order that lifts a ban, for it to be in the audit.
func (a *API) liftBan(w http.ResponseWriter, r *http.Request, t *Token) error {
	room, err := a.Host.Room(r.PathValue("room"))
	if err != nil {
		return err
	}
	identity := r.PathValue("identity")
	if !slices.ContainsFunc(room.Bans(), func(b conference.Ban) bool { return b.Identity == identity }) {
		return fmt.Errorf("ban of %.80q: %w", identity, ErrNotFound)
	}
	return a.command(w, r, t, moderation.Order{Action: moderation.Ban, Target: identity})
}

func (a *API) listRecordings(w http.ResponseWriter, r *http.Request, _ *Token) error {
	if a.Recordings == nil {
		return &problem{Status: http.StatusNotImplemented, Detail: "this host keeps no recordings"}
	}
	if _, err := a.Host.Room(r.PathValue("room")); err != nil {
		return err
	}
	list, err := a.Recordings.List(r.Context(), r.PathValue("room"))
	if err != nil {
		return err
	}
	if list == nil {
		list = []Recording{}
	}
	return reply(w, http.StatusOK, list)
}

func (a *API) download(w http.ResponseWriter, r *http.Request, _ *Token) error {
	if a.Recordings == nil {
		return &problem{Status: http.StatusNotImplemented, Detail: "this host keeps no recordings"}
	}
	f, err := a.Recordings.Open(r.Context(), r.PathValue("room"), r.PathValue("id"))
	if err != nil {
		return err
	}
	Serve(w, r, f, true)
	return nil
}

func (a *API) deleteRecording(w http.ResponseWriter, r *http.Request, _ *Token) error {
	if a.Recordings == nil {
		return &problem{Status: http.StatusNotImplemented, Detail: "this host keeps no recordings"}
	}
	if err := a.Recordings.Delete(r.Context(), r.PathValue("room"), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) chapters(w http.ResponseWriter, r *http.Request, _ *Token) error {
	if a.Recordings == nil {
		return &problem{Status: http.StatusNotImplemented, Detail: "this host keeps no recordings"}
	}
	list, err := a.Recordings.Chapters(r.Context(), r.PathValue("room"), r.PathValue("id"))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, append([]Chapter{}, list...))
}

// Serve answers with an opened recording, in parts if asked (RFC 9110 section 14), and
// closes it. A reader that takes nothing for a minute is cut off.
func Serve(w http.ResponseWriter, r *http.Request, f *File, save bool) {
	defer f.Close()
	disposition := "inline"
	if save {
		disposition = mime.FormatMediaType("attachment", map[string]string{"filename": f.Name})
	}
	w.Header().Set("Content-Disposition", disposition)
	w.Header().Set("Content-Type", f.Type)
	w.Header().Set("Cache-Control", "private, no-store")
	http.ServeContent(&patient{ResponseWriter: w, ctl: http.NewResponseController(w)}, r, "", f.Changed, f)
}

// patient gives each write a deadline of its own, so that a long download is fine and a
// stuck one is not.
type patient struct {
	http.ResponseWriter
	ctl *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	_ = p.ctl.SetWriteDeadline(time.Now().Add(time.Minute))
	return p.ResponseWriter.Write(b)
}
