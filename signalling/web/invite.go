package web

import (
	"strings"
	"time"

	"rendezvous/conference"
	"rendezvous/moderation"
)

// way is one of the ways into a room, as the page shows it to be passed on.
type way struct {
	Kind    string `json:"kind"`    // "link", "phone" (a SIP address), "telephone" (a number), "jami"
	Address string `json:"address"` // of a telephone a tel: URI
	// Keys is what is keyed in when the call has been answered.
	Keys string `json:"keys,omitempty"`
	// Pending says that the address follows, and is empty until then.
	Pending bool `json:"pending,omitempty"`
	// Size and Code are the address as a QR code: so many squares wide, and those that are
	// dark as an SVG path.
	Size int    `json:"size"`
	Code string `json:"code"`
}

// wayKinds are the kinds of ways by door.
var wayKinds = map[string]string{"web": "link", "sip": "phone", "jami": "jami"}

// invite is all that somebody is told who is invited into the room: the ways in, by all doors, and the same as a text and as a
// calendar's entry. The entry is of the times that the room is open, or else of those that the page has asked for.
func (s *session) invite(m clientMessage) inviteMessage {
	out := inviteMessage{Type: "invite", Ways: []way{}}
	room, role, in := s.member.Role()
	if !in {
		return out // who waits in the lobby has nobody to bring
	}
	out.Ways = s.ways(room)
	out.Links = role >= moderation.Moderator && s.door.makesLinks()
	set := room.Settings()
	from, until := time.Time(set.From), time.Time(set.Until)
	if !from.IsZero() {
		out.From = &from
	}
	if !until.IsZero() {
		out.Until = &until
	}
	i := invitation{title: set.Title, room: room.ID(), ways: out.Ways, needsPIN: set.PIN != "", from: from, until: until,
		recorded: set.Recording == moderation.RecordAuto || set.Recording == moderation.RecordAlways}
	if set.PIN != "" && (role >= moderation.Moderator || s.pin == set.PIN) {
		out.PIN, i.pin = set.PIN, set.PIN
	}
	switch length := time.Duration(m.Minutes) * time.Minute; {
	case !i.from.IsZero():
	case m.From == nil:
	case i.until.IsZero() || m.From.Before(i.until):
		i.from = *m.From
		if i.until.IsZero() || i.from.Add(length).Before(i.until) {
			i.until = i.from.Add(length)
		}
	}
	out.Text = i.text()
	if !i.from.IsZero() {
		out.Calendar = i.calendar(time.Now())
	}
	return out
}

// ways are those into a room.
func (s *session) ways(room *conference.Room) []way {
	ways := []way{}
	for _, a := range s.door.addresses(room.ID()) {
		w := way{Kind: wayKinds[a.Door], Address: a.Text, Keys: a.Keys, Pending: a.Pending}
		if strings.HasPrefix(a.Text, "tel:") {
			w.Kind = "telephone"
		}
		if a.Pending {
			ways = append(ways, w)
			continue
		}
		code, err := s.door.codes.of(w.Address)
		if err != nil { // too long for one; the text is shown all the same
			s.log.Warn("an address without a QR code", "address", w.Address, "error", err)
			ways = append(ways, w)
			continue
		}
		w.Size, w.Code = code.size, code.path
		ways = append(ways, w)
	}
	return ways
}
