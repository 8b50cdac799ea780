package jami

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"rendezvous/conference"
	"rendezvous/dht/value"
	"rendezvous/moderation"
	"rendezvous/signalling/jami/account"
)

// ErrNoAccount says that a room has no Jami account, or not yet.
var ErrNoAccount = errors.New("the room has no Jami account")

// ErrBeingMade says that a room has no Jami account yet: its keys are being made, or it is being opened. It is an ErrNoAccount.
var ErrBeingMade = fmt.Errorf("%w yet: it is being made, which takes seconds for each room, one after the other; try again later", ErrNoAccount)

// noAccount is why a room has no account at present.
func (d *Door) noAccount(room string) error {
	if d.BeingMade(room) {
		return ErrBeingMade
	}
	return ErrNoAccount
}

// ContactRequest is an account that asks to be a contact of a room.
type ContactRequest struct {
	ID       string // Jami id
	Name     string // what the asker calls themselves, or empty
	Received time.Time
}

// Contacts lists the accounts that a room knows, the banned among them. The error is
// ErrNoAccount.
func (d *Door) Contacts(room string) ([]account.Contact, error) {
	a := d.room(room)
	if a == nil {
		return nil, d.noAccount(room)
	}
	return a.account.Contacts(), nil
}

// ContactRequests lists the requests that wait for a decision, oldest first. The error is
// ErrNoAccount.
func (d *Door) ContactRequests(room string) ([]ContactRequest, error) {
	a := d.room(room)
	if a == nil {
		return nil, d.noAccount(room)
	}
	var out []ContactRequest
	for _, r := range a.account.TrustRequests() {
		out = append(out, ContactRequest{r.Account.String(), moderation.CleanName(r.Name()), r.Received})
	}
	return out, nil
}

// AcceptContact makes an account that asked a contact of a room. The error wraps
// ErrNoAccount, account.ErrNoRequest, is the disk's, or says that id is none; the request
// waits on then. The methods below fail alike.
func (d *Door) AcceptContact(room, id string) error {
	return d.decide(room, id, (*account.Account).AcceptTrustRequest)
}

// DiscardContact forgets a request; the asker is told nothing. It fails as AcceptContact
// does.
func (d *Door) DiscardContact(room, id string) error {
	return d.decide(room, id, (*account.Account).DiscardTrustRequest)
}

// AddContact makes an account a contact of a room, lifts a ban, and asks the account to take
// the room for one of its own contacts: clients of today are called and invited by nobody
// else. It fails as AcceptContact does; whether the account is online plays no part.
func (d *Door) AddContact(room, id string) error {
	r := d.room(room)
	return d.decide(room, id, func(a *account.Account, key value.Key) error {
		if err := a.AddContact(key); err != nil {
			return err
		}
		if r.conversations != nil {
			return r.conversations.Ask(key)
		}
		return a.Ask(key, "")
	})
}

// BanContact refuses an account everything from now on, and ends its connections and calls.
func (d *Door) BanContact(room, id string) error { return d.decide(room, id, (*account.Account).Ban) }

// RemoveContact forgets a contact; a ban goes with it. For who is none the error wraps
// account.ErrNoContact; else it fails as AcceptContact does.
func (d *Door) RemoveContact(room, id string) error {
	return d.decide(room, id, (*account.Account).RemoveContact)
}

// decide does something about an account, and lets the moderators' lists follow.
func (d *Door) decide(room, id string, do func(*account.Account, value.Key) error) error {
	key, err := value.ParseKey(strings.TrimPrefix(id, "jami:"))
	if err != nil {
		return fmt.Errorf("%q is no Jami id of 40 hex digits", id)
	}
	a := d.room(room)
	if a == nil {
		return d.noAccount(room)
	}
	waiting := len(a.account.TrustRequests())
	if err := do(a.account, key); err != nil {
		return err
	}
	if r, err := d.cfg.Host.Room(room); err == nil && len(a.account.TrustRequests()) != waiting {
		r.TellModerators(conference.Notice{Kind: conference.NoticeContact})
	}
	return nil
}

// asked tells a room's moderators that somebody wants to be a contact.
func asked(r *conference.Room) func(account.TrustRequest) {
	return func(q account.TrustRequest) {
		name := moderation.CleanName(q.Name())
		if name == "" {
			name = q.Account.String()
		}
		r.TellModerators(conference.Notice{Kind: conference.NoticeContact, Text: name})
	}
}

// picture is the room's picture, as its callers are sent it.
func (d *Door) picture(room string) []byte {
	if d.cfg.Picture == nil {
		return nil
	}
	return d.cfg.Picture(room)
}
