package web

import (
	"net/url"
	"time"

	"rendezvous/conference"
	"rendezvous/signalling/web/links"
)

// LinkURL is a link as people follow it, "" where the door takes none or is not open yet. What stands behind the # is sent to nobody
// on the way.
func (d *Door) LinkURL(l links.Link) string {
	if d.base == "" || len(d.cfg.JoinSecret) == 0 {
		return ""
	}
	t := JoinToken{Subject: "link-" + l.ID, Name: l.Name, Room: l.Room, Role: l.Role, Expires: l.Expires.Unix(), Link: l.ID}
	if l.Role == links.Guest {
		t.Role = ""
	}
	return d.base + "/r/" + url.PathEscape(l.Room) + "#token=" + t.Sign(d.cfg.JoinSecret)
}

// useToken gives a caller what their token says, or an error in words for them.
func (d *Door) useToken(c *conference.Caller, text string, room *conference.Room) error {
	t, err := parseJoinToken(d.cfg.JoinSecret, text, room.ID(), time.Now())
	if err != nil {
		return err
	}
	if t.Link != "" && (d.cfg.Links == nil || !d.cfg.Links.Good(room.ID(), t.Link)) {
		return errSpent
	}
	c.Grant = t.grant(room)
	name := trimName(t.Name)
	if name != "" {
		c.Name = name
	}
	// A link that is not made out to somebody may be in many hands: each browser is a person of its own, as it is without a link. Those
	// that keep no cookie are one, and no less easily somebody else: a ban holds for their network, too.
	anybodys := t.Link != "" && name == ""
	if !anybodys || !c.Proven {
		c.Identity, c.Proven, c.Disposable = "web:"+t.Subject, true, anybodys
	}
	return nil
}
