package moderation

import (
	"fmt"
	"strings"
)

// Role is what a participant may do. Higher roles include the lower ones'
// rights, except that an Observer only watches.
type Role uint8

// The roles, weakest first.
const (
	Observer  Role = iota // hears and sees, is not heard or shown (recorders, WHEP viewers)
	Listener              // may raise a hand, cannot speak unless given the floor
	Speaker               // the ordinary participant
	Moderator             // runs the meeting
	Host                  // runs the meeting and cannot be removed by moderators
)

var roleNames = [...]string{"observer", "listener", "speaker", "moderator", "host"}

// String is the role's name in the config, the control API and the audit log.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// MarshalText writes the role's name, lower case. A number that is no role is an error.
func (r Role) MarshalText() ([]byte, error) {
	if int(r) >= len(roleNames) {
		return nil, fmt.Errorf("no role has the number %d", uint8(r))
	}
	return []byte(roleNames[r]), nil
}

// UnmarshalText reads what MarshalText writes. The error is a *TextError; the role stays as it was then.
func (r *Role) UnmarshalText(b []byte) error {
	role, err := ParseRole(string(b))
	if err != nil {
		return &TextError{fmt.Sprintf("is one of %s, not %.80q", strings.Join(roleNames[:], ", "), b)}
	}
	*r = role
	return nil
}

// ParseRole reads a role's name, in lower case only. The error for another one lists
// those there are.
func ParseRole(s string) (Role, error) {
	for i, name := range roleNames {
		if s == name {
			return Role(i), nil
		}
	}
	return 0, fmt.Errorf("unknown role %.40q (known: observer, listener, speaker, moderator, host)", s)
}
