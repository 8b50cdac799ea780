package settings

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"rendezvous/moderation"
)

var (
	validID    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	validJami  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	identities = regexp.MustCompile(`^(jami:[0-9a-f]{40}|sip:[^\s@]+@[^\s@]+|web:\S+)$`)
)

// Check refuses what a room cannot be. The error is one line that begins with the setting's name.
func (r *Room) Check() error {
	for _, err := range r.Mistakes() {
		return err
	}
	return nil
}

// Mistakes are all that Check refuses, each as its error.
func (r *Room) Mistakes() []error {
	errs := []error{
		r.checkID(),
		digits("number", r.Number, 16),
		digits("pin", r.PIN, 32),
		digits("moderator_pin", r.ModeratorPIN, 32),
		word("layout", r.Layout),
		within("max_participants", r.MaxParticipants, 0, moderation.MaxPeople),
		within("max_duration", r.MaxDuration, 0, Duration(30*24*time.Hour)),
		within("lobby_timeout", r.LobbyTimeout, Duration(10*time.Second), Duration(24*time.Hour)),
		within("host_grace", r.HostGrace, 0, Duration(time.Hour)),
		word("echo", r.Echo),
		word("recording", r.Recording),
		word("jami.calls", r.Jami.Calls),
		word("jami.requests", r.Jami.Requests),
		word("conversation.mode", r.Conversation.Mode),
		word("conversation.invite", r.Conversation.Invite),
		word("conversation.join", r.Conversation.Join),
		word("conversation.moderators", r.Conversation.Moderators),
		r.Roles.check(),
		jamiIDs("jami.allow", r.Jami.Allow),
		jamiIDs("conversation.members", r.Conversation.Members),
	}
	if utf8.RuneCountInString(r.Title) > 200 {
		errs = append(errs, fmt.Errorf("title: is longer than 200 characters"))
	}
	if r.PIN != "" && r.PIN == r.ModeratorPIN {
		errs = append(errs, fmt.Errorf("moderator_pin: is the same as pin; everybody would be a moderator"))
	}
	if from, until := time.Time(r.From), time.Time(r.Until); !from.IsZero() && !until.IsZero() && !until.After(from) {
		errs = append(errs, fmt.Errorf("until: %s is not after from", r.Until))
	}
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

func (r *Room) checkID() error {
	if !validID.MatchString(r.ID) {
		return fmt.Errorf("id: %.80q is not of up to 63 letters a-z, digits and dashes", r.ID)
	}
	return nil
}

func (r Roles) check() error {
	if r.Default != moderation.Listener && r.Default != moderation.Speaker {
		return fmt.Errorf("roles.default: is one of listener, speaker, not %q", r.Default)
	}
	given := map[string]moderation.Role{}
	for _, l := range r.lists() {
		for _, identity := range l.who {
			if err := CheckIdentity("roles."+l.role.String(), identity); err != nil {
				return err
			}
			if other, twice := given[identity]; twice {
				return fmt.Errorf("roles.%s: %s has the role %s already", l.role, identity, other)
			}
			given[identity] = l.role
		}
	}
	return nil
}

// CheckIdentity refuses what names nobody; the error begins with the key.
func CheckIdentity(key, identity string) error {
	if !identities.MatchString(identity) {
		return fmt.Errorf("%s: %.80q is no identity such as jami:<40 hex digits>, sip:user@host or web:<subject>", key, identity)
	}
	return nil
}

func jamiIDs(key string, ids []string) error {
	for _, id := range ids {
		if !validJami.MatchString(id) {
			return fmt.Errorf("%s: %.80q is no Jami id of 40 hex digits", key, id)
		}
	}
	return nil
}

func digits(key, value string, most int) error {
	if len(value) > most || strings.Trim(value, "0123456789") != "" {
		return fmt.Errorf("%s: wants at most %d digits, which a phone can dial", key, most)
	}
	return nil
}

func within[T int | Duration](key string, value, low, high T) error {
	if value < low || value > high {
		return fmt.Errorf("%s: %v is not between %v and %v", key, value, low, high)
	}
	return nil
}

// word refuses what only Go code can make of an enumeration, such as the empty text.
func word[E moderation.Word[E]](key string, value E) error {
	if err := moderation.ReadWord(&value, []byte(value)); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}
