package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

// olderNames are what settings were called here before they had their names of config.yaml. They are read as well.
var olderNames = map[string]string{"limit": "max_participants", "moderatorPin": "moderator_pin"}

// readRoom reads a room that is to be made, and checks it. Settings that are not said are those of settings.Default,
// except that there is no limit to participants: so it was when rooms were made here without that being said.
func readRoom(body []byte) (settings.Room, error) {
	room := settings.Default()
	room.MaxParticipants = 0
	var said map[string]json.RawMessage
	if err := json.Unmarshal(body, &said); err != nil {
		return room, unexpected(err)
	}
	for older, name := range olderNames {
		value, ok := said[older]
		if !ok {
			continue
		}
		if _, twice := said[name]; twice {
			return room, unexpected(fmt.Errorf("%s is the older name of %s; both are there", older, name))
		}
		delete(said, older)
		said[name] = value
	}
	// One by one, for the error to name what is wrong.
	for _, name := range slices.Sorted(maps.Keys(said)) {
		if string(said[name]) == `""` { // as if nothing were said
			continue
		}
		one, err := json.Marshal(map[string]json.RawMessage{name: said[name]})
		if err != nil {
			return room, unexpected(err)
		}
		d := json.NewDecoder(bytes.NewReader(one))
		d.DisallowUnknownFields()
		if err := d.Decode(&room); err != nil {
			if text, ok := errors.AsType[*moderation.TextError](err); ok {
				return room, fmt.Errorf("%w: %s: %w", errInvalid, name, text)
			}
			return room, unexpected(err)
		}
	}
	if room.Dial {
		return room, fmt.Errorf("%w: dial: calls out cost money; only config.yaml allows a room to make them", errInvalid)
	}
	if err := room.Check(); err != nil {
		return room, fmt.Errorf("%w: %w", errInvalid, err)
	}
	return room, nil
}

func unexpected(err error) error {
	return &problem{Status: http.StatusBadRequest, Detail: "the body is not what was expected: " + err.Error()}
}
