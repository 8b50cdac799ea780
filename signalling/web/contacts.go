package web

import (
	"errors"
	"fmt"

	"rendezvous/moderation"
	"rendezvous/signalling/web/control"
)

// contacts lists for a moderator's page who asks to be a contact of the room.
func (s *session) contacts() contactsMessage {
	m := contactsMessage{Type: "contacts", List: []control.ContactRequest{}}
	if !s.decidesContacts() {
		return m
	}
	list, err := s.door.cfg.Contacts.Requests(s.member.Room().ID())
	if err != nil && !errors.Is(err, control.ErrNotFound) {
		s.log.Error("listing contact requests", "error", err)
	}
	m.List = append(m.List, list...)
	return m
}

// decidesContacts reports whether the page's person may decide on contact requests.
func (s *session) decidesContacts() bool {
	_, role, in := s.member.Role()
	return s.door.cfg.Contacts != nil && in && role >= moderation.Moderator
}

// decideContact accepts or discards a request, or bans who made it.
func (s *session) decideContact(id, what string) error {
	if !s.decidesContacts() {
		return &moderation.Refusal{Reason: "Only moderators decide on contact requests."}
	}
	c := s.door.cfg.Contacts
	do, known := map[string]func(room, id string) error{"accept": c.Accept, "discard": c.Discard, "ban": c.Ban}[what]
	if !known {
		return fmt.Errorf("%w: %.20q", errMessage, what)
	}
	err := do(s.member.Room().ID(), id)
	if errors.Is(err, control.ErrNotFound) {
		return &moderation.Refusal{Reason: "This request does not wait any longer."}
	}
	if err == nil {
		s.log.Info("contact decided", "participant", s.member.ID(), "account", id, "decision", what)
	}
	return err
}
