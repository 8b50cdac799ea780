package control

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

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
	if err := takeOlderNames(said); err != nil {
		return room, err
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

// takeOlderNames puts the settings' own names in the place of older ones.
func takeOlderNames[V any](said map[string]V) error {
	for older, name := range olderNames {
		value, ok := said[older]
		if !ok {
			continue
		}
		if _, twice := said[name]; twice {
			return unexpected(fmt.Errorf("%s is the older name of %s; both are there", older, name))
		}
		delete(said, older)
		said[name] = value
	}
	return nil
}

// patchRoom changes a room by a JSON merge patch (RFC 7396) of its settings, and checks it. What the patch takes away has the value
// that it has in a room that is made without it.
func patchRoom(old settings.Room, patch []byte) (settings.Room, error) {
	var said map[string]any
	if err := json.Unmarshal(patch, &said); err != nil || said == nil {
		return old, unexpected(fmt.Errorf("a merge patch of a room is a JSON object (%w)", cmp.Or(err, errors.New("it is null"))))
	}
	if err := takeOlderNames(said); err != nil {
		return old, err
	}
	if err := known("", said, reflect.TypeFor[settings.Room]()); err != nil {
		return old, unexpected(err)
	}
	if id, ok := said["id"]; ok && id != old.ID {
		return old, fmt.Errorf("%w: id: a room keeps its id", errInvalid)
	}
	now, err := json.Marshal(old)
	if err != nil {
		return old, err
	}
	var all map[string]any
	if err := json.Unmarshal(now, &all); err != nil {
		return old, err
	}
	if _, said := said["dial"]; !said {
		delete(all, "dial") // nothing that may be said, even if it stays as it is
	}
	merged, err := json.Marshal(merge(all, said))
	if err != nil {
		return old, err
	}
	room, err := readRoom(merged)
	if err != nil {
		return old, err
	}
	room.Picture = old.Picture
	if _, said := said["dial"]; !said {
		room.Dial = old.Dial
	}
	return room, nil
}

// merge is RFC 7396 section 2.
func merge(target, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	t, ok := target.(map[string]any)
	if !ok {
		t = map[string]any{}
	}
	for name, value := range p {
		if value == nil {
			delete(t, name)
		} else {
			t[name] = merge(t[name], value)
		}
	}
	return t
}

// known refuses names that a struct does not have in JSON. encoding/json would take them in any case of letters, and pass over those
// that are null.
func known(path string, said map[string]any, of reflect.Type) error {
	for _, name := range slices.Sorted(maps.Keys(said)) {
		field, ok := field(of, name)
		if !ok {
			return fmt.Errorf("unknown field %q", path+name)
		}
		if inner, ok := said[name].(map[string]any); ok && field.Kind() == reflect.Struct {
			if err := known(path+name+".", inner, field); err != nil {
				return err
			}
		}
	}
	return nil
}

// field is the type of the field that has a name in JSON.
func field(of reflect.Type, name string) (reflect.Type, bool) {
	for f := range of.Fields() {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name && tag != "-" {
			return f.Type, true
		}
	}
	return nil, false
}

func unexpected(err error) error {
	return &problem{Status: http.StatusBadRequest, Detail: "the body is not what was expected: " + err.Error()}
}
