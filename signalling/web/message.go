package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pion/webrtc/v3"

	"rendezvous/conference"
	"rendezvous/conference/audit"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
	"rendezvous/signalling/web/control"
	"rendezvous/signalling/web/rtc"
)

// What a page sends, one JSON object per WebSocket message. The first is "join" or "resume". For people it is all in
// docs/page-protocol.md, for the page in page/protocol.d.ts; a test compares the three.
const (
	msgJoin       = "join"       // room, name, pin, token, watch; session if one was lost; inflate
	msgResume     = "resume"     // session, inflate
	msgOffer      = "offer"      // sdp
	msgCandidate  = "candidate"  // candidate
	msgMedia      = "media"      // mic, camera, screen: what is on
	msgOrder      = "order"      // n, order: answered by "result" with the same n
	msgChat       = "chat"       // n, text
	msgRecordings = "recordings" // answered by "recordings"
	msgAudit      = "audit"      // answered by "audit", to moderators
	msgInvite     = "invite"     // from, minutes: answered by "invite", what is passed on to others
	msgLinks      = "links"      // answered by "links", to moderators
	msgMakeLink   = "make-link"  // n, role, name, hours: answered by "links" as well
	msgRevokeLink = "revoke-link"
	msgName       = "name-recording" // n, recording, text
	msgContacts   = "contacts"       // answered by "contacts", to moderators
	msgContact    = "contact"        // n, contact, text: accept, discard or ban who asks to be one
	msgPing       = "ping"           // answered by "pong"; also what keeps the WebSocket alive
	msgLeave      = "leave"
)

// clientMessage is any of them.
type clientMessage struct {
	Type      string                   `json:"type"`
	Room      string                   `json:"room"`
	Name      string                   `json:"name"`
	PIN       string                   `json:"pin"`
	Token     string                   `json:"token"`
	Watch     bool                     `json:"watch"`
	Session   string                   `json:"session"`
	Inflate   bool                     `json:"inflate"` // packed messages are understood
	SDP       string                   `json:"sdp"`
	Candidate *webrtc.ICECandidateInit `json:"candidate"`
	Mic       bool                     `json:"mic"`
	Camera    bool                     `json:"camera"`
	Screen    bool                     `json:"screen"`
	N         int                      `json:"n"`
	Order     *moderation.Order        `json:"order"`
	Contact   string                   `json:"contact"`
	Text      string                   `json:"text"`
	From      *time.Time               `json:"from"`    // of a meeting that there is to be
	Minutes   int                      `json:"minutes"` // how long it is to last
	Role      string                   `json:"role"`
	Hours     int                      `json:"hours"`
	Link      string                   `json:"link"`
	Recording string                   `json:"recording"`
}

var errMessage = errors.New("the message is not understood")

// Bounds of what a page may send, besides the message's own size.
const (
	maxChat    = 4000         // bytes of a line
	maxMinutes = 31 * 24 * 60 // of a meeting
	mostAhead  = 5 * 366 * 24 * time.Hour
)

// parseMessage reads one message and checks that it has what its type needs.
func parseMessage(b []byte) (clientMessage, error) {
	var m clientMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("%w: %s", errMessage, clip(err.Error(), 200)) // it may quote a time of any length
	}
	missing := func(what string) (clientMessage, error) {
		return m, fmt.Errorf("%w: %q without %s", errMessage, m.Type, what)
	}
	switch m.Type {
	case msgJoin:
		if m.Room == "" {
			return missing("room")
		}
		m.Name = trimName(m.Name)
	case msgResume:
		if m.Session == "" {
			return missing("session")
		}
	case msgOffer:
		if m.SDP == "" {
			return missing("sdp")
		}
	case msgCandidate:
		if m.Candidate == nil {
			return missing("candidate")
		}
	case msgOrder:
		if m.Order == nil || m.Order.Action == "" {
			return missing("order")
		}
		if err := m.Order.Check(); err != nil {
			return m, fmt.Errorf("%w: %w", errMessage, err)
		}
	case msgChat:
		if m.Text == "" {
			return missing("text")
		}
		if len(m.Text) > maxChat {
			return m, fmt.Errorf("%w: the text is longer than %d bytes", errMessage, maxChat)
		}
	case msgContact:
		if m.Contact == "" {
			return missing("contact")
		}
	case msgInvite:
		if m.From != nil {
			if m.Minutes < 1 || m.Minutes > maxMinutes {
				return m, fmt.Errorf("%w: a meeting lasts between 1 and %d minutes", errMessage, maxMinutes)
			}
			if ahead := time.Until(*m.From); ahead.Abs() > mostAhead {
				return m, fmt.Errorf("%w: the meeting is too far away", errMessage)
			}
		}
	case msgMakeLink:
		if m.Role != roleGuest && m.Role != roleModerator {
			return m, fmt.Errorf("%w: a link is for a guest or a moderator", errMessage)
		}
		if m.Hours < 1 || m.Hours > pageLinkLife {
			return m, fmt.Errorf("%w: a link is good for between 1 and %d hours", errMessage, pageLinkLife)
		}
		m.Name = trimName(m.Name)
	case msgRevokeLink:
		if m.Link == "" {
			return missing("link")
		}
	case msgName:
		if m.Recording == "" {
			return missing("recording")
		}
		if len(m.Text) > maxChat {
			return m, fmt.Errorf("%w: the text is longer than %d bytes", errMessage, maxChat)
		}
	case msgMedia, msgRecordings, msgAudit, msgLinks, msgContacts, msgPing, msgLeave:
	default:
		return m, fmt.Errorf("%w: type %.40q", errMessage, m.Type)
	}
	return m, nil
}

// What a page is sent.
type (
	welcomeMessage struct {
		Type       string      `json:"type"`
		Session    string      `json:"session"` // the secret to resume with
		ID         string      `json:"id"`      // the participant's
		Room       string      `json:"room"`
		Title      string      `json:"title"`
		ICE        []clientICE `json:"ice"`
		Resumed    bool        `json:"resumed"`
		Recordings bool        `json:"recordings"` // there is a catalogue to ask for
		Contacts   bool        `json:"contacts"`   // there are contact requests to ask for
	}
	refusal struct {
		Type string                 `json:"type"`
		Code conference.RefusalCode `json:"code"`
		Text string                 `json:"text"`
	}
	answerMessage struct {
		Type string `json:"type"`
		SDP  string `json:"sdp"`
	}
	resultMessage struct {
		Type string `json:"type"`
		N    int    `json:"n"`
		OK   bool   `json:"ok"`
		Text string `json:"text,omitempty"` // why not
	}
	chatMessage struct {
		Type    string             `json:"type"`
		Message conference.Message `json:"message"`
		Past    bool               `json:"past,omitempty"` // said before the page came
	}
	reactionMessage struct {
		Type string `json:"type"`
		From string `json:"from"` // the participant's id; "": somebody from outside
		Name string `json:"name"`
		Text string `json:"text"`
	}
	noticeMessage struct {
		Type   string            `json:"type"`
		Notice conference.Notice `json:"notice"`
	}
	endedMessage struct {
		Type   string               `json:"type"`
		Reason conference.EndReason `json:"reason"`
	}
	pongMessage struct {
		Type     string          `json:"type"`
		Estimate int             `json:"estimate"` // bit/s that we think the page can take, 0 if unknown
		Media    string          `json:"media"`    // how we see the connection: rtc.State
		Network  control.Network `json:"network"`
	}
	recordingsMessage struct {
		Type string          `json:"type"`
		List []recordingLink `json:"list"`
		Text string          `json:"text,omitempty"` // why there is no list
	}
	recordingLink struct {
		control.Recording
		URL      string `json:"url"`
		Chapters string `json:"chapters"` // WebVTT
	}
	auditMessage struct {
		Type string        `json:"type"`
		List []audit.Entry `json:"list"`
	}
	inviteMessage struct {
		Type string `json:"type"`
		Ways []way  `json:"ways"`
		// PIN is there for those who may tell it: who runs the meeting, and who has given it.
		PIN      string     `json:"pin,omitempty"`
		From     *time.Time `json:"from,omitempty"` // when the room is open, if that is limited
		Until    *time.Time `json:"until,omitempty"`
		Text     string     `json:"text"`               // all of it, to be copied
		Calendar string     `json:"calendar,omitempty"` // all of it, as iCalendar; "" without a time
		Links    bool       `json:"links,omitempty"`    // there are links to ask for, and to make
	}
	linksMessage struct {
		Type string     `json:"type"`
		List []pageLink `json:"list"`
		Made string     `json:"made,omitempty"` // the id of the one that this page has made
	}
	contactsMessage struct {
		Type string                   `json:"type"`
		List []control.ContactRequest `json:"list"`
	}
	errorMessage struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	plainMessage struct {
		Type string `json:"type"`
	}
)

// Refusals of this door's own, beside the rooms'.
const (
	refusedSession   conference.RefusalCode = "session"   // nothing to resume: join again
	refusedToken     conference.RefusalCode = "token"     // the join token is not valid
	refusedTooMany   conference.RefusalCode = "too-many"  // wrong PINs from this address
	refusedMalformed conference.RefusalCode = "malformed" //
)

// refusalMessage turns an error of joining into what the page is told.
func refusalMessage(err error) refusal {
	if r, ok := errors.AsType[*conference.Refusal](err); ok {
		return refusal{Type: "refused", Code: r.Code, Text: r.Text}
	}
	return refusal{Type: "refused", Code: "error", Text: "Something went wrong on the host. Please try again."}
}

func pongOf(p *rtc.Peer, l *leg.Leg, state rtc.State) pongMessage {
	m := pongMessage{Type: "pong", Media: state.String()}
	if p != nil {
		m.Estimate = p.Estimate()
	}
	if l != nil {
		q := l.Quality()
		m.Network = control.NetworkOf(q, q.Class())
	}
	return m
}

// joinTimeout is how long a WebSocket may stay without having joined. A person typing their
// PIN again does it on a new one.
const joinTimeout = 15 * time.Second
