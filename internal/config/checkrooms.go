package config

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"
)

// Scopes are what a token of the control API can be limited to.
var Scopes = []string{"rooms:read", "rooms:write", "orders", "chat", "recordings:read", "recordings:write", "contacts:read", "contacts:write"}

func (c *Config) checkTokens() error {
	for _, name := range sortedKeys(c.API.Tokens) {
		t, key := c.API.Tokens[name], "api.tokens."+name
		if len(t.Secret) < 16 {
			return fmt.Errorf("%s.secret: wants at least 16 characters", key)
		}
		for _, scope := range t.Scopes {
			if err := oneOf(key+".scopes", scope, Scopes...); err != nil {
				return err
			}
		}
		for _, id := range t.Rooms {
			if !validName.MatchString(id) {
				return fmt.Errorf("%s.rooms: %q is no room id", key, id)
			}
		}
	}
	return nil
}

// Events are what webhooks can be told of.
var Events = []string{
	"meeting.began", "meeting.ended", "participant.waiting", "participant.joined", "participant.left",
	"recording.started", "recording.stopped", "recording.failed", "order", "chat",
}

func (c *Config) checkWebhooks() error {
	for _, name := range sortedKeys(c.Webhooks) {
		w, key := c.Webhooks[name], "webhooks."+name
		if w.URL == "" {
			return fmt.Errorf("%s.url: wants a web address such as https://example.org/hook", key)
		}
		if err := httpURL(key+".url", w.URL); err != nil {
			return err
		}
		if len(w.Secret) < 16 {
			return fmt.Errorf("%s.secret: wants at least 16 characters", key)
		}
		for _, kind := range w.Events {
			if err := oneOf(key+".events", kind, Events...); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Config) checkPeople() error {
	taken := map[string]string{}
	for _, name := range sortedKeys(c.People) {
		key := "people." + name + ".identities"
		for _, identity := range c.People[name].Identities {
			if err := checkIdentity(key, identity); err != nil {
				return err
			}
			if other, twice := taken[identity]; twice {
				return fmt.Errorf("%s: %s is %q already", key, identity, other)
			}
			taken[identity] = name
		}
	}
	return nil
}

func checkIdentity(key, identity string) error {
	if !identities.MatchString(identity) {
		return fmt.Errorf("%s: %q is no identity such as jami:<40 hex digits>, sip:user@host or web:<subject>", key, identity)
	}
	return nil
}

func (c *Config) checkRooms() error {
	numbers := map[string]string{}
	for _, id := range sortedKeys(c.Rooms) {
		r, key := c.Rooms[id], "rooms."+id
		if err := r.Check(); err != nil {
			return fmt.Errorf("%s.%w", key, err)
		}
		if r.Number == "" {
			continue
		}
		if other, taken := numbers[r.Number]; taken {
			return fmt.Errorf("%s.number: %s is the number of room %q already", key, r.Number, other)
		}
		numbers[r.Number] = id
	}
	return nil
}

// Check refuses impossible values of a room; the error begins with the key.
func (r *Room) Check() error {
	err := first(
		digits("number", r.Number),
		digits("pin", r.PIN),
		digits("moderator_pin", r.ModeratorPIN),
		oneOf("layout", r.Layout, "grid", "one-big", "one-big-with-small", "side-by-side"),
		within("max_participants", r.MaxParticipants, 0, 10000),
		within("max_duration", r.MaxDuration, 0, 30*24*time.Hour),
		within("lobby_timeout", r.LobbyTimeout, 10*time.Second, 24*time.Hour),
		within("host_grace", r.HostGrace, 0, time.Hour),
		moment("from", r.From),
		moment("until", r.Until),
		oneOf("echo", r.Echo, "notify", "mute", "off"),
		oneOf("recording", r.Recording, "off", "on-demand", "auto", "always"),
		oneOf("roles.default", r.Roles.Default, "listener", "speaker"),
		oneOf("jami.calls", r.Jami.Calls, "public", "contacts", "list"),
		oneOf("jami.requests", r.Jami.Requests, "moderated", "automatic", "refused"),
		oneOf("conversation.mode", r.Conversation.Mode, "admin-invites-only", "invites-only", "public"),
		oneOf("conversation.invite", r.Conversation.Invite, "none", "contacts", "callers"),
		oneOf("conversation.join", r.Conversation.Join, "anybody", "contacts", "never"),
		oneOf("conversation.moderators", r.Conversation.Moderators, "none", "admins", "members"),
	)
	if err != nil {
		return err
	}
	if r.PIN != "" && r.PIN == r.ModeratorPIN {
		return fmt.Errorf("moderator_pin: is the same as pin; everybody would be a moderator")
	}
	if from, until := Moment(r.From), Moment(r.Until); !from.IsZero() && !until.IsZero() && !until.After(from) {
		return fmt.Errorf("until: %s is not after from", r.Until)
	}
	if err := picture("picture", r.Picture); err != nil {
		return err
	}
	if len(r.Title) > 200 {
		return fmt.Errorf("title: is longer than 200 bytes")
	}
	given := map[string]string{}
	for _, role := range []struct {
		name string
		who  []string
	}{
		{"host", r.Roles.Host}, {"moderator", r.Roles.Moderator}, {"speaker", r.Roles.Speaker},
		{"listener", r.Roles.Listener}, {"observer", r.Roles.Observer},
	} {
		for _, identity := range role.who {
			if err := checkIdentity("roles."+role.name, identity); err != nil {
				return err
			}
			if other, twice := given[identity]; twice {
				return fmt.Errorf("roles.%s: %s has the role %s already", role.name, identity, other)
			}
			given[identity] = role.name
		}
	}
	for _, list := range []struct {
		key string
		ids []string
	}{{"jami.allow", r.Jami.Allow}, {"conversation.members", r.Conversation.Members}} {
		for _, id := range list.ids {
			if !validJami.MatchString(id) {
				return fmt.Errorf("%s: %q is no Jami id of 40 hex digits", list.key, id)
			}
		}
	}
	return nil
}

func digits(key, value string) error {
	if !validPIN.MatchString(value) {
		return fmt.Errorf("%s: wants at most 16 digits, which a phone can dial", key)
	}
	return nil
}

// maxPicture is how large a room's picture may be, in bytes: it is sent to callers.
const maxPicture = 256 << 10

func picture(key, file string) error {
	if file == "" {
		return nil
	}
	b, err := Picture(file)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", key, err)
	case len(b) > maxPicture:
		return fmt.Errorf("%s: %s is larger than %d bytes", key, file, maxPicture)
	case !bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")) && !bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		return fmt.Errorf("%s: %s is neither PNG nor JPEG", key, file)
	}
	return nil
}

// Picture reads a room's picture, or the beginning of one that is too large.
func Picture(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxPicture+1))
}

func moment(key, value string) error {
	if value != "" && Moment(value).IsZero() {
		return fmt.Errorf("%s: %q is no point in time such as 2026-12-24T18:00:00+01:00", key, value)
	}
	return nil
}

// Moment reads a point in time (RFC 3339); zero for "" and for what is none.
func Moment(text string) time.Time {
	t, _ := time.Parse(time.RFC3339, text)
	return t
}
