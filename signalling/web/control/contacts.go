package control

import (
	"fmt"
	"net/http"
	"regexp"
	"time"
)

// Contact is an account of another network that a room knows.
type Contact struct {
	ID        string    `json:"id"` // Jami id
	Added     time.Time `json:"added"`
	Asked     bool      `json:"asked"`     // the room has asked it to agree, and waits for that
	Confirmed bool      `json:"confirmed"` // one side has asked and the other accepted
	Banned    bool      `json:"banned"`
}

// ContactRequest is an account that asks to be a contact.
type ContactRequest struct {
	ID       string    `json:"id"`
	Name     string    `json:"name,omitempty"` // what they call themselves
	Received time.Time `json:"received"`
}

// Contacts are what rooms know of accounts of another network. Errors about accounts, requests
// and rooms that are not there wrap ErrNotFound. No method waits for the network.
type Contacts interface {
	List(room string) ([]Contact, error)            // the banned among them
	Requests(room string) ([]ContactRequest, error) // oldest first
	Accept(room, id string) error                   // a request: who asked is a contact
	Discard(room, id string) error                  // a request; the asker is told nothing
	Add(room, id string) error                      // lifts a ban
	Ban(room, id string) error                      // ends the account's calls
	Remove(room, id string) error                   // a contact, or a ban
}

var contactID = regexp.MustCompile(`^[0-9a-f]{40}$`)

// contacts finds what all its operations need: that there are contacts, and the room.
func (a *API) contacts(r *http.Request) (room string, err error) {
	if a.Contacts == nil {
		return "", &problem{Status: http.StatusNotImplemented, Detail: "this host has no Jami door"}
	}
	room = r.PathValue("room")
	_, err = a.Host.Room(room)
	return room, err
}

func (a *API) listContacts(w http.ResponseWriter, r *http.Request, _ *Token) error {
	room, err := a.contacts(r)
	if err != nil {
		return err
	}
	list, err := a.Contacts.List(room)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, append([]Contact{}, list...))
}

func (a *API) addContact(w http.ResponseWriter, r *http.Request, t *Token) error {
	room, err := a.contacts(r)
	if err != nil {
		return err
	}
	var c struct {
		ID     string `json:"id"`
		Banned bool   `json:"banned"`
	}
	if err := decode(r, &c); err != nil {
		return err
	}
	if !contactID.MatchString(c.ID) {
		return fmt.Errorf("%w: a Jami id has 40 hex digits, in lower case", errInvalid)
	}
	do := a.Contacts.Add
	if c.Banned {
		do = a.Contacts.Ban
	}
	if err := do(room, c.ID); err != nil {
		return err
	}
	a.Log.Info("contact decided", "room", room, "account", c.ID, "banned", c.Banned, "token", t.Name)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) listRequests(w http.ResponseWriter, r *http.Request, _ *Token) error {
	room, err := a.contacts(r)
	if err != nil {
		return err
	}
	list, err := a.Contacts.Requests(room)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, append([]ContactRequest{}, list...))
}

// aboutContact is an operation on the contact or request of the path.
func (a *API) aboutContact(do func(c Contacts, room, id string) error) func(http.ResponseWriter, *http.Request, *Token) error {
	return func(w http.ResponseWriter, r *http.Request, t *Token) error {
		room, err := a.contacts(r)
		if err != nil {
			return err
		}
		id := r.PathValue("id")
		if !contactID.MatchString(id) {
			return fmt.Errorf("contact %.80q: %w", id, ErrNotFound)
		}
		if err := do(a.Contacts, room, id); err != nil {
			return err
		}
		a.Log.Info("contact decided", "room", room, "account", id, "method", r.Method, "path", r.URL.Path, "token", t.Name)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}
