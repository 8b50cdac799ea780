package conference

import (
	"context"
	"time"

	"rendezvous/moderation"
)

// Address is where a room can be reached, as people read it.
type Address struct {
	Door string // its name
	Text string
	Keys string // what is keyed in when a call to Text has been answered, as "100#"; "": nothing
	// Pending says that the door will take calls to the room before long, and Text is empty until then.
	Pending bool
}

// Door is a way into the rooms: browsers, phones, Jami devices. cmd/rendezvous
// starts the doors and drains them.
type Door interface {
	// Name is the door's name in logs, metrics and Info: "web", "sip", "jami".
	Name() string
	// Start opens the door; it returns once callers can come, or an error.
	Start(ctx context.Context) error
	// Addresses returns where callers meet the room through this door, for people
	// to read: a link, a SIP address, an account's id. Empty if the room is not served.
	Addresses(room string) []string
	// Drain refuses new callers and returns when the present ones are gone or ctx ends.
	Drain(ctx context.Context)
	// Close ends everything and waits for it.
	Close() error
}

// Caller is somebody who asks to be let in, as their door knows them.
type Caller struct {
	Door    string // the door's name
	Address string // in the door's own scheme, for display: "sip:bob@example.org", a Jami id, "web"

	// Identity is stable for the same person across reconnects; bans and roles go
	// by it. "jami:<40 hex>", "sip:user@host", "web:<token subject or device cookie>".
	Identity string
	// Proven says the door has authenticated Identity (certificate, digest, signed token).
	Proven bool
	// Disposable says that whoever has Identity can have another one at will, as a browser its cookie: a ban of it
	// holds for newcomers from the same network too.
	Disposable bool

	Name   string // display name, may be empty
	PIN    string // as entered, may be empty
	Source string // network address they come from, without port; wrong PINs are counted by it; may be empty
	// Grant is the role that a credential checked by the door gives them in the room they
	// ask for: a signed token, swarm membership. It also stands for the PIN. nil: none.
	Grant *moderation.Role

	// SeesRoster says that the door shows its caller by the Infos who comes and goes: they are sent no NoticeEntered and
	// NoticeLeft besides.
	SeesRoster bool
	// SeesReactions says that the door fetches the member's mail and shows the reactions in it: nobody else is sent any.
	SeesReactions bool
	// ToldInside says that the door tells its caller that a room is recorded when they are in it (NoticeRecordingStarted), and then
	// calls Member.Informed: until then they are neither heard nor seen there. Other doors say it before (Room.Recorded).
	ToldInside bool
	Observer   bool   // only watches: WHEP viewers
	Connection string // how they are connected, for people: "WebRTC", "SIP/TLS, SRTP", "Jami"
	Agent      string // user agent
	Session    string // the door's own call id, for logs and for Jami's stream ids
	Device     string // Jami device id, else empty
}

// Listener is what a door gives the room to hear from it, if telling its caller may take time. The calls come one at a
// time from a goroutine of the participant's own, so a slow door harms nobody else.
// Infos are coalesced: only the newest is delivered. A door that has a loop of its own for its caller gives none, and asks
// Member.Fetch whenever Member.Wake says so.
type Listener interface {
	Admitted()              // from the lobby into the room; called at once if there is no lobby, and again in a room they are moved to
	Info(info *Info)        // the room has changed; info is shared and must not be written
	Chat(m Message)         // somebody wrote
	Notice(n Notice)        // something to tell the person (muted, recording started, …)
	Ended(reason EndReason) // the participant is out; nothing is called after it
}

// Message is a line of chat.
type Message struct {
	ID   string    `json:"id"`
	From string    `json:"from"` // participant id, "" for the room itself
	Name string    `json:"name"`
	Text string    `json:"text"`
	Time time.Time `json:"time"`
}

// NoticeKind says what a notice is about; doors choose words, tones or icons for it.
type NoticeKind string

// The notices.
const (
	NoticeMuted            NoticeKind = "muted"             // you are not heard any more; Text says why
	NoticeUnmuted          NoticeKind = "unmuted"           // you are heard (again)
	NoticeRecordingStarted NoticeKind = "recording-started" //
	NoticeRecordingStopped NoticeKind = "recording-stopped" //
	NoticeRecordingFailed  NoticeKind = "recording-failed"  // to moderators; Text says why
	NoticeEntered          NoticeKind = "entered"           // Text: name; see Caller.SeesRoster
	NoticeLeft             NoticeKind = "left"              // Text: name; see Caller.SeesRoster
	NoticeAnnouncement     NoticeKind = "announcement"      // to all, from a moderator; Text: what is announced
	NoticeRefused          NoticeKind = "refused"           // your order was refused; Text says why
	NoticeEnding           NoticeKind = "ending"            // the meeting or the host is about to end; Text
	NoticeLobby            NoticeKind = "lobby"             // you wait in the lobby
	NoticeKnock            NoticeKind = "knock"             // to moderators: somebody waits in the lobby; Text: name
	NoticeHand             NoticeKind = "hand"              // to moderators: a hand was raised; Text: name
	NoticeNoise            NoticeKind = "noise"             // something is wrong with somebody's sound, to moderators, or with one's own; Text says what
	NoticeOverload         NoticeKind = "overload"          // to moderators: what the host gives up as it has too much to do; Text
	NoticeMoved            NoticeKind = "moved"             // you are in another room now; Text: its title
)

// Notice is something a door tells its caller.
type Notice struct {
	Kind NoticeKind `json:"kind"`
	Text string     `json:"text,omitempty"`
}

// EndReason says why a participant is out.
type EndReason string

// The reasons.
const (
	EndLeft     EndReason = "left"     // hung up themselves
	EndRemoved  EndReason = "removed"  // by a moderator; may come back
	EndBanned   EndReason = "banned"   // by a moderator; may not come back
	EndDenied   EndReason = "denied"   // turned away from the lobby
	EndMeeting  EndReason = "ended"    // for all: by a moderator, its time, or the end of its room
	EndShutdown EndReason = "shutdown" // the host stops
	EndTimeout  EndReason = "timeout"  // no media, or the lobby's or meeting's time is up
	EndMoved    EndReason = "moved"    // to another room; the member lives on there, so the door is not told Ended
	EndReplaced EndReason = "replaced" // the same person came in again (reconnect)
)

// Refusal is why somebody was not let in. It is the caller's to be told.
type Refusal struct {
	Code RefusalCode
	Text string // one line for the person
}

// RefusalCode lets a door answer in its own protocol (404, 403, 486, 503 …).
type RefusalCode string

// The refusals.
const (
	RefusedNoRoom   RefusalCode = "no-room"
	RefusedPIN      RefusalCode = "pin" // missing or wrong
	RefusedLocked   RefusalCode = "locked"
	RefusedBanned   RefusalCode = "banned"
	RefusedFull     RefusalCode = "full"
	RefusedBusy     RefusalCode = "busy"   // the host has too much to do
	RefusedClosed   RefusalCode = "closed" // outside the room's time window
	RefusedDraining RefusalCode = "draining"
)

// Error is the Text: a door may show it as it is.
func (r *Refusal) Error() string { return r.Text }
