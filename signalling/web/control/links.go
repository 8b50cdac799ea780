package control

import (
	"fmt"
	"net/http"
	"time"

	"rendezvous/signalling/web/links"
)

// link is one as the API shows it. Its URL is as good as a PIN, so links are shown to who may make them.
type link struct {
	links.Link
	URL string `json:"url"`
}

// linkRoom finds what all operations on links need: that there are links, and the room.
func (a *API) linkRoom(r *http.Request) (room string, err error) {
	if a.Links == nil {
		return "", &problem{Status: http.StatusNotImplemented, Detail: "this host makes no links"}
	}
	room = r.PathValue("room")
	_, err = a.Host.Room(room)
	return room, err
}

func (a *API) listLinks(w http.ResponseWriter, r *http.Request, _ *Token) error {
	room, err := a.linkRoom(r)
	if err != nil {
		return err
	}
	list := []link{}
	for _, l := range a.Links.List(room) {
		list = append(list, link{l, a.LinkURL(l)})
	}
	return reply(w, http.StatusOK, list)
}

func (a *API) makeLink(w http.ResponseWriter, r *http.Request, t *Token) error {
	room, err := a.linkRoom(r)
	if err != nil {
		return err
	}
	var wanted struct {
		Role    string    `json:"role"`
		Expires time.Time `json:"expires"`
		Name    string    `json:"name"`
	}
	if err := decode(r, &wanted); err != nil {
		return err
	}
	l, err := a.Links.Make(links.Link{Room: room, Role: wanted.Role, Expires: wanted.Expires, Name: wanted.Name, By: t.Name})
	if err != nil {
		return err
	}
	a.Log.Info("link made", "room", room, "link", l.ID, "role", l.Role, "expires", l.Expires, "token", t.Name)
	return reply(w, http.StatusCreated, link{l, a.LinkURL(l)})
}

func (a *API) revokeLink(w http.ResponseWriter, r *http.Request, t *Token) error {
	room, err := a.linkRoom(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := a.Links.Revoke(room, id); err != nil {
		return fmt.Errorf("link %.80q: %w", id, err)
	}
	a.Log.Info("link revoked", "room", room, "link", id, "token", t.Name)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
