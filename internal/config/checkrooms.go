package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"rendezvous/conference/settings"
)

// Scopes are what a token of the control API can be limited to.
var Scopes = []string{"rooms:read", "rooms:write", "orders", "chat", "recordings:read", "recordings:write", "contacts:read", "contacts:write"}

func (c *Config) checkTokens() error {
	var errs []error
	for _, name := range sortedKeys(c.API.Tokens) {
		t, key := c.API.Tokens[name], "api.tokens."+name
		errs = append(errs,
			unless(len(t.Secret) >= 16, "%s.secret: wants at least 16 characters", key),
			allOf(key+".scopes", t.Scopes, Scopes...),
			each(t.Rooms, func(id string) error { return unless(validName.MatchString(id), "%s.rooms: %q is no room id", key, id) }),
		)
	}
	return errors.Join(errs...)
}

// Events are what webhooks can be told of.
var Events = []string{
	"meeting.began", "meeting.ended", "participant.waiting", "participant.joined", "participant.left",
	"recording.started", "recording.stopped", "recording.failed", "recording.done", "order", "chat",
}

func (c *Config) checkWebhooks() error {
	var errs []error
	for _, name := range sortedKeys(c.Webhooks) {
		w, key := c.Webhooks[name], "webhooks."+name
		errs = append(errs,
			unless(w.URL != "", "%s.url: wants a web address such as https://example.org/hook", key),
			httpURL(key+".url", w.URL),
			unless(len(w.Secret) >= 16, "%s.secret: wants at least 16 characters", key),
			allOf(key+".events", w.Events, Events...),
		)
	}
	return errors.Join(errs...)
}

func (c *Config) checkPeople() error {
	taken := map[string]string{}
	var errs []error
	for _, name := range sortedKeys(c.People) {
		key := "people." + name + ".identities"
		for _, identity := range c.People[name].Identities {
			other, twice := taken[identity]
			errs = append(errs, settings.CheckIdentity(key, identity), unless(!twice, "%s: %s is %q already", key, identity, other))
			taken[identity] = name
		}
	}
	return errors.Join(errs...)
}

func (c *Config) checkRooms() error {
	numbers := map[string]string{}
	var errs []error
	for _, id := range sortedKeys(c.Rooms) {
		r, key := c.Rooms[id], "rooms."+id
		for _, err := range r.Mistakes() {
			errs = append(errs, fmt.Errorf("%s.%w", key, err))
		}
		errs = append(errs, picture(key+".picture", r.Picture))
		if r.Number == "" {
			continue
		}
		other, taken := numbers[r.Number]
		errs = append(errs, unless(!taken, "%s.number: %s is the number of room %q already", key, r.Number, other))
		numbers[r.Number] = id
	}
	return errors.Join(errs...)
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

// Picture reads a room's picture, or the beginning of one that is too large. The error is the system's.
func Picture(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxPicture+1))
}
