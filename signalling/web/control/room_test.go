package control

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

func TestReadRoom(t *testing.T) {
	for body, want := range map[string]func(*settings.Room){
		`{"id":"a"}`: func(*settings.Room) {},
		`{"id":"a","title":"A","pin":"1","moderatorPin":"2","layout":"one-big","limit":10,"lobby":true,"recording":"never"}`: func(r *settings.Room) {
			r.Title, r.PIN, r.ModeratorPIN, r.Layout, r.MaxParticipants, r.Lobby = "A", "1", "2", moderation.LayoutOneBig, 10, true
			r.Recording = moderation.RecordNever
		},
		`{"id":"a","layout":"","recording":"","limit":0,"from":"","lobby_timeout":""}`: func(*settings.Room) {},
		`{"id":"a","moderator_pin":"2","max_participants":10,"recording":"auto","max_duration":"7d","until":"2026-12-24T18:00:00Z",
			"roles":{"default":"listener","host":["web:x"]},"conversation":{"enabled":false}}`: func(r *settings.Room) {
			r.ModeratorPIN, r.MaxParticipants, r.Recording, r.MaxDuration = "2", 10, moderation.RecordAuto, settings.Duration(7*24*time.Hour)
			r.Until = settings.Moment(time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC))
			r.Roles.Default, r.Roles.Host, r.Conversation.Enabled = moderation.Listener, []string{"web:x"}, false
		},
	} {
		room := settings.Default()
		room.ID, room.Recording, room.MaxParticipants = "a", moderation.RecordOnOrder, 0
		want(&room)
		got, err := readRoom([]byte(body))
		require.NoError(t, err, body)
		require.Equal(t, room, got, body)
	}
}

func TestRefusedRooms(t *testing.T) {
	for body, want := range map[string]string{
		`{"id":"A"}`:                                "id: ",
		`{"id":"a","layout":"pile"}`:                `layout: is one of auto, grid, one-big, one-big-with-small, side-by-side, not "pile"`,
		`{"id":"a","recording":"sometimes"}`:        `recording: is one of off, on-demand, auto, always, not "sometimes"`,
		`{"id":"a","jami":{"calls":"me"}}`:          `jami: is one of public, contacts, list, not "me"`,
		`{"id":"a","roles":{"default":"king"}}`:     `roles: is one of observer, listener, speaker, moderator, host, not "king"`,
		`{"id":"a","lobby_timeout":"long"}`:         `lobby_timeout: wants a duration such as "30s" or "1h30m", not "long"`,
		`{"id":"a","lobby_timeout":90}`:             "lobby_timeout",
		`{"id":"a","limit":"many"}`:                 "max_participants",
		`{"id":"a","limit":1,"max_participants":2}`: "limit is the older name of max_participants",
		`{"id":"a","max_participants":-1}`:          "max_participants: -1 is not between 0 and 10000",
		`{"id":"a","colour":"red"}`:                 `unknown field "colour"`,
		`{"id":"a","jami":{"colour":"red"}}`:        `unknown field "colour"`,
		`{"id":"a","number":"100"}`:                 `unknown field "number"`,
		`{"id":"a","dial":true}`:                    "dial: ",
		`["a"]`:                                     "not what was expected",
	} {
		_, err := readRoom([]byte(body))
		require.ErrorContains(t, err, want, body)
		require.NotContains(t, err.Error(), "\n")
	}
}

// The description has all settings that are read, with the words that each takes and the defaults they have.
func TestRoomIsDescribed(t *testing.T) {
	s := loadSpec(t)
	usual, err := readRoom([]byte(`{"id":"a"}`))
	require.NoError(t, err)
	var compare func(path string, schema any, v reflect.Value)
	compare = func(path string, schema any, v reflect.Value) {
		properties, _ := s.at(schema, "properties").(map[string]any)
		described := slices.Collect(maps.Keys(properties))
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if name == "-" || path+name == "dial" { // of config.yaml alone
				continue
			}
			require.Contains(t, described, name, "%s%s is not described", path, name)
			described = slices.DeleteFunc(described, func(d string) bool { return d == name })
			property, value := properties[name], v.Field(i)
			if s.at(property, "properties") != nil {
				compare(path+name+".", property, value)
				continue
			}
			if words := value.MethodByName("Words"); words.IsValid() {
				require.Equal(t, fmt.Sprint(words.Call(nil)[0]), fmt.Sprint(s.at(property, "enum")), "words of %s%s", path, name)
			}
			if fixed, ok := property.(map[string]any)["default"]; ok {
				text, err := json.Marshal(value.Interface())
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint(fixed), strings.Trim(string(text), `"`), "default of %s%s", path, name)
			} else {
				require.True(t, value.IsZero(), "%s%s has a default", path, name)
			}
		}
		if path == "" {
			described = slices.DeleteFunc(described, func(d string) bool { return olderNames[d] != "" })
		}
		require.Empty(t, described, "described, but no settings")
	}
	usual.ID = ""
	compare("", s.at(map[string]any(s), "components", "schemas", "RoomSpec"), reflect.ValueOf(usual))
}
