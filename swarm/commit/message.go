package commit

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/go-git/go-git/v5/plumbing"
)

// Types of messages. Others exist and must be let through.
const (
	TypeInitial       = "initial"
	TypeMember        = "member"
	TypeVote          = "vote"
	TypeText          = "text/plain"
	TypeEdited        = "application/edited-message" // as clients of 2023 write edits
	TypeFile          = "application/data-transfer+json"
	TypeCall          = "application/call-history+json"
	TypeUpdateProfile = "application/update-profile"
	// TypeMerge is what Parse calls the plain text of merges.
	TypeMerge = "merge"
)

// Actions of member messages.
const (
	ActionAdd    = "add"
	ActionJoin   = "join"
	ActionRemove = "remove" // of oneself: leaving
	ActionBan    = "ban"
	ActionUnban  = "unban"
)

// Mode says who may come into a conversation.
type Mode int

// The modes, as the initial commit has them.
const (
	OneToOne Mode = iota
	AdminInvitesOnly
	InvitesOnly
	Public
)

// String is the mode as the configuration has it: "one-to-one", "admin-invites-only",
// "invites-only", "public".
func (m Mode) String() string {
	switch m {
	case OneToOne:
		return "one-to-one"
	case AdminInvitesOnly:
		return "admin-invites-only"
	case InvitesOnly:
		return "invites-only"
	case Public:
		return "public"
	}
	return "mode " + strconv.Itoa(int(m))
}

// Message is what a commit says.
type Message struct {
	Type string
	// Mode is in initial messages only.
	Mode Mode
	// Fields are the other members, all of them strings: "body", "uri", …
	Fields map[string]string
}

// Get returns a field, "" if there is none.
func (m Message) Get(field string) string { return m.Fields[field] }

func message(kind string, pairs ...string) Message {
	m := Message{Type: kind, Fields: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		m.Fields[pairs[i]] = pairs[i+1]
	}
	return m
}

// Initial begins a conversation; invited is empty but in one-to-one ones.
func Initial(mode Mode, invited string) Message {
	m := message(TypeInitial)
	m.Mode = mode
	if invited != "" {
		m.Fields["invited"] = invited
	}
	return m
}

// Member is a change of membership; uri is the account it is about.
func Member(action, uri string) Message {
	return message(TypeMember, "action", action, "uri", uri)
}

// Vote is a vote about an account or a device.
func Vote(target string) Message { return message(TypeVote, "uri", target) }

// Text is a line of chat.
func Text(body string) Message { return message(TypeText, "body", body) }

// Reply answers the message of commit to.
func Reply(body string, to plumbing.Hash) Message {
	return message(TypeText, "body", body, "reply-to", to.String())
}

// React attaches a reaction, an emoji, to a message.
func React(body string, to plumbing.Hash) Message {
	return message(TypeText, "body", body, "react-to", to.String())
}

// Edit replaces the text of a message of one's own; an empty body deletes it.
func Edit(body string, of plumbing.Hash) Message {
	return message(TypeEdited, "body", body, "edit", of.String())
}

// File announces a file. sha3 is the hex SHA3-512 of its content, tid a random
// decimal.
func File(name, sha3, tid string, size int64) Message {
	return message(TypeFile, "displayName", name, "sha3sum", sha3, "tid", tid, "totalSize", strconv.FormatInt(size, 10))
}

// CallStarted tells of a call of the conversation hosted by a device.
func CallStarted(conf, device, account string) Message {
	return message(TypeCall, "confId", conf, "device", device, "uri", account)
}

// CallEnded tells of its end and how long it took, in milliseconds.
func CallEnded(conf, device, account string, ms int64) Message {
	m := CallStarted(conf, device, account)
	m.Fields["duration"] = strconv.FormatInt(ms, 10)
	return m
}

// UpdateProfile says that the conversation's profile changed.
func UpdateProfile() Message { return message(TypeUpdateProfile) }

// Merge is the text of a merge with another head.
func Merge(other plumbing.Hash) Message {
	return message(TypeMerge, "commit", other.String())
}

// Text is the message as a commit has it: compact JSON with sorted keys in
// ASCII, as daemons write it.
func (m Message) Text() string {
	if m.Type == TypeMerge {
		return "Merge commit '" + m.Get("commit") + "'"
	}
	keys := []string{"type"}
	for k := range m.Fields {
		if k != "type" {
			keys = append(keys, k)
		}
	}
	if m.Type == TypeInitial {
		keys = append(keys, "mode")
	}
	slices.Sort(keys)
	var b strings.Builder
	for i, k := range keys {
		b.WriteByte("{,"[min(i, 1)])
		quote(&b, k)
		b.WriteByte(':')
		switch {
		case k == "type":
			quote(&b, m.Type)
		case k == "mode" && m.Type == TypeInitial:
			b.WriteString(strconv.Itoa(int(m.Mode)))
		default:
			quote(&b, m.Fields[k])
		}
	}
	b.WriteByte('}')
	return b.String()
}

// quote writes a JSON string; what is not ASCII as \uXXXX.
func quote(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r >= 0x10000:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(b, `\u%04x\u%04x`, hi, lo)
		case r < ' ' || r >= 0x80:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}

// ErrMessage is wrapped by the errors of ParseMessage.
var ErrMessage = errors.New("malformed message")

// ParseMessage reads the text of a commit. Members that are no strings are left out, but
// for the mode of an initial message. The error wraps ErrMessage: it is no JSON object,
// has no type, or no mode where there must be one.
func ParseMessage(c *Commit) (Message, error) {
	if c.isMerge() {
		return message(TypeMerge, "commit", c.Parents[1].String()), nil
	}
	return parseMessage(c.Text)
}

func parseMessage(text string) (Message, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		return Message{}, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	m := message("")
	for k, raw := range members {
		var s string
		if len(raw) > 0 && raw[0] == '"' {
			if err := json.Unmarshal(raw, &s); err != nil {
				return Message{}, fmt.Errorf("%w: %w", ErrMessage, err)
			}
			m.Fields[k] = s
		}
	}
	m.Type = m.Fields["type"]
	delete(m.Fields, "type")
	if m.Type == "" || m.Type == TypeMerge {
		return Message{}, fmt.Errorf("%w: no type", ErrMessage)
	}
	if m.Type == TypeInitial {
		if err := json.Unmarshal(members["mode"], &m.Mode); err != nil {
			return Message{}, fmt.Errorf("%w: mode: %w", ErrMessage, err)
		}
	}
	return m, nil
}
