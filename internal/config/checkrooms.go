package config

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"rendezvous/conference/settings"
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
	"recording.started", "recording.stopped", "recording.failed", "recording.done", "order", "chat",
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
			if err := settings.CheckIdentity(key, identity); err != nil {
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

func (c *Config) checkRooms() error {
	numbers := map[string]string{}
	for _, id := range sortedKeys(c.Rooms) {
		r, key := c.Rooms[id], "rooms."+id
		if err := r.Check(); err != nil {
			return fmt.Errorf("%s.%w", key, err)
		}
		if err := picture(key+".picture", r.Picture); err != nil {
			return err
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
