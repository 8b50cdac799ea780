package settings

import "rendezvous/moderation"

// Echo says what becomes of somebody whose microphone repeats the meeting, as when it takes up their
// loudspeaker.
type Echo string

// What becomes of them.
const (
	EchoNotify Echo = "notify" // they and the moderators are told
	EchoMute   Echo = "mute"   // the room mutes them, too
	EchoOff    Echo = "off"    // nobody looks
)

// Words are all there are.
func (Echo) Words() []Echo { return []Echo{EchoNotify, EchoMute, EchoOff} }

// MarshalText writes the word.
func (e Echo) MarshalText() ([]byte, error) { return []byte(e), nil }

// UnmarshalText reads one of the words. The error is a *moderation.TextError.
func (e *Echo) UnmarshalText(text []byte) error { return moderation.ReadWord(e, text) }

// Calls says who may call the room from Jami. Bans stand above each of them.
type Calls string

// Who may call.
const (
	CallsPublic   Calls = "public"   // everybody
	CallsContacts Calls = "contacts" // accounts that are contacts
	CallsList     Calls = "list"     // the accounts that are listed
)

// Words are all there are.
func (Calls) Words() []Calls { return []Calls{CallsPublic, CallsContacts, CallsList} }

// MarshalText writes the word.
func (c Calls) MarshalText() ([]byte, error) { return []byte(c), nil }

// UnmarshalText reads one of the words. The error is a *moderation.TextError.
func (c *Calls) UnmarshalText(text []byte) error { return moderation.ReadWord(c, text) }

// Requests says what becomes of contact requests by strangers.
type Requests string

// What becomes of requests.
const (
	RequestsModerated Requests = "moderated" // kept until a moderator decides
	RequestsAutomatic Requests = "automatic" // accepted at once
	RequestsRefused   Requests = "refused"   // dropped
)

// Words are all there are.
func (Requests) Words() []Requests {
	return []Requests{RequestsModerated, RequestsAutomatic, RequestsRefused}
}

// MarshalText writes the word.
func (r Requests) MarshalText() ([]byte, error) { return []byte(r), nil }

// UnmarshalText reads one of the words. The error is a *moderation.TextError.
func (r *Requests) UnmarshalText(text []byte) error { return moderation.ReadWord(r, text) }

// Mode says who lets others into the room's conversation.
type Mode string

// The modes.
const (
	ModeAdminInvitesOnly Mode = "admin-invites-only"
	ModeInvitesOnly      Mode = "invites-only" // members may invite others
	ModePublic           Mode = "public"
)

// Words are all modes.
func (Mode) Words() []Mode { return []Mode{ModeAdminInvitesOnly, ModeInvitesOnly, ModePublic} }

// MarshalText writes the word.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m), nil }

// UnmarshalText reads one of the words. The error is a *moderation.TextError.
func (m *Mode) UnmarshalText(text []byte) error { return moderation.ReadWord(m, text) }

// Invite says who is invited to the room's own conversation, besides its listed members.
type Invite string

// Whom to invite.
const (
	InviteNobody   Invite = "none"
	InviteContacts Invite = "contacts" // who becomes a contact of the room's account
	InviteCallers  Invite = "callers"  // these, and who calls the room from Jami
)

// Words are all there are.
func (Invite) Words() []Invite { return []Invite{InviteNobody, InviteContacts, InviteCallers} }

// MarshalText writes the word.
func (i Invite) MarshalText() ([]byte, error) { return []byte(i), nil }

// UnmarshalText reads one of the words. The error is a *moderation.TextError.
func (i *Invite) UnmarshalText(text []byte) error { return moderation.ReadWord(i, text) }

// Join says whose invitations to other conversations the room accepts.
type Join string

// Whose invitations to accept.
const (
	JoinAnybody  Join = "anybody"
	JoinContacts Join = "contacts" // of contacts and listed members
	JoinNever    Join = "never"
)

// Words are all there are.
func (Join) Words() []Join { return []Join{JoinAnybody, JoinContacts, JoinNever} }

// MarshalText writes the word.
func (j Join) MarshalText() ([]byte, error) { return []byte(j), nil }

// UnmarshalText reads one of the words. The error is a *moderation.TextError.
func (j *Join) UnmarshalText(text []byte) error { return moderation.ReadWord(j, text) }

// Moderators says which members of the conversation are moderators of the room.
type Moderators string

// Who is a moderator by membership.
const (
	ModeratorsNone    Moderators = "none"
	ModeratorsAdmins  Moderators = "admins"
	ModeratorsMembers Moderators = "members"
)

// Words are all there are.
func (Moderators) Words() []Moderators {
	return []Moderators{ModeratorsNone, ModeratorsAdmins, ModeratorsMembers}
}

// MarshalText writes the word.
func (m Moderators) MarshalText() ([]byte, error) { return []byte(m), nil }

// UnmarshalText reads one of the words. The error is a *moderation.TextError.
func (m *Moderators) UnmarshalText(text []byte) error { return moderation.ReadWord(m, text) }
