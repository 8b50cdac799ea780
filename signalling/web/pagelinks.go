package web

import (
	"errors"
	"time"

	"rendezvous/moderation"
	"rendezvous/signalling/web/links"
)

// Who runs a meeting makes links from the page for guests and for other moderators. Theirs are good for a month at most: a moderator of
// one meeting is not to hand out a year.
const (
	pageLinkLife  = 31 * 24 // hours
	roleGuest     = links.Guest
	roleModerator = "moderator"
)

// pageLink is a link as moderators are shown it. Its URL is as good as a PIN.
type pageLink struct {
	links.Link
	URL string `json:"url"`
}

// makesLinks reports whether the host makes links that let people in.
func (d *Door) makesLinks() bool { return d.cfg.Links != nil && len(d.cfg.JoinSecret) > 0 }

// links lists for a moderator's page the room's links that are good; made is the id of one that this page has just made.
func (s *session) links(made string) linksMessage {
	m := linksMessage{Type: "links", List: []pageLink{}, Made: made}
	room, role, in := s.member.Role()
	if !in || role < moderation.Moderator || !s.door.makesLinks() {
		return m
	}
	for _, l := range s.door.cfg.Links.List(room.ID()) {
		if !mayHandle(l, role) {
			continue
		}
		m.List = append(m.List, pageLink{l, s.door.LinkURL(l)})
	}
	return m
}

// mayHandle reports whether who has a role may see a link, and so use it, or take it away: not one that gives more than they have.
func mayHandle(l links.Link, role moderation.Role) bool {
	if l.Role == links.Guest {
		return true
	}
	of, err := moderation.ParseRole(l.Role)
	return err == nil && of <= role
}

var errNoLinks = &moderation.Refusal{Reason: "Only moderators make links and take them away."}

// makeLink makes a link and returns its id.
func (s *session) makeLink(role, name string, hours int) (id string, err error) {
	room, own, in := s.member.Role()
	if !in || own < moderation.Moderator || !s.door.makesLinks() {
		return "", errNoLinks
	}
	l, err := s.door.cfg.Links.Make(links.Link{
		Room: room.ID(), Role: role, Name: name, By: s.name(), Expires: time.Now().Add(time.Duration(hours) * time.Hour),
	})
	switch {
	case errors.Is(err, links.ErrTooMany):
		return "", &moderation.Refusal{Reason: "There are too many links already. Revoke some."}
	case err != nil:
		return "", err
	}
	s.log.Info("link made", "link", l.ID, "role", l.Role, "expires", l.Expires, "participant", s.member.ID())
	return l.ID, nil
}

// revokeLink takes a link away: nobody comes in by it any more.
func (s *session) revokeLink(id string) error {
	room, role, in := s.member.Role()
	if !in || role < moderation.Moderator || !s.door.makesLinks() {
		return errNoLinks
	}
	for _, l := range s.door.cfg.Links.List(room.ID()) {
		if l.ID == id && !mayHandle(l, role) {
			return &moderation.Refusal{Reason: "The link gives more than you have."}
		}
	}
	err := s.door.cfg.Links.Revoke(room.ID(), id)
	if errors.Is(err, links.ErrNotFound) {
		return &moderation.Refusal{Reason: "This link is not good any more."}
	}
	if err == nil {
		s.log.Info("link revoked", "link", id, "participant", s.member.ID())
	}
	return err
}

// name is what the page's person is called in the room.
func (s *session) name() string {
	if p, err := s.member.Room().Info().Find(s.member.ID()); err == nil {
		return p.Name
	}
	return ""
}
