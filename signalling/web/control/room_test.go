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
		`{"id":"a","number":"1e3"}`:                 "number: wants at most 16 digits",
		`{"id":"a","picture":"/etc/passwd"}`:        `unknown field "picture"`,
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
			if name == "-" { // of config.yaml alone
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

// A patch changes what it names, takes away what it says is null, and leaves the rest, at every depth (RFC 7396).
func TestPatchRoom(t *testing.T) {
	old, err := readRoom([]byte(`{"id":"a","title":"A","pin":"1","layout":"one-big","recording":"auto","max_participants":10,"number":"4711",
		"from":"2026-12-24T18:00:00+01:00","roles":{"default":"listener","host":["web:x"],"speaker":["web:y"]},"conversation":{"enabled":false}}`))
	require.NoError(t, err)
	old.Picture, old.Dial = "a.png", true // as rooms of long ago may have it
	for patch, want := range map[string]func(*settings.Room){
		`{}`: func(*settings.Room) {},
		`{"id":"a","title":"B","pin":"2","moderatorPin":"3","limit":20}`: func(r *settings.Room) {
			r.Title, r.PIN, r.ModeratorPIN, r.MaxParticipants = "B", "2", "3", 20
		},
		`{"pin":null,"from":null,"layout":null,"recording":null,"limit":null,"number":""}`: func(r *settings.Room) {
			r.PIN, r.From, r.Layout, r.Recording, r.MaxParticipants, r.Number = "", settings.Moment{}, settings.Default().Layout, moderation.RecordOnOrder, 0, ""
		},
		`{"roles":{"host":["web:z"],"speaker":null},"conversation":{"enabled":null}}`: func(r *settings.Room) {
			r.Roles.Host, r.Roles.Speaker, r.Conversation.Enabled = []string{"web:z"}, nil, true
		},
		`{"roles":null,"until":"2026-12-24T20:00:00Z"}`: func(r *settings.Room) {
			r.Roles, r.Until = settings.Roles{Default: moderation.Speaker}, settings.Moment(time.Date(2026, 12, 24, 20, 0, 0, 0, time.UTC))
		},
		`{"dial":false}`: func(r *settings.Room) { r.Dial = false },
	} {
		room := old
		want(&room)
		got, err := patchRoom(old, []byte(patch))
		require.NoError(t, err, patch)
		// Moments are the same in any zone.
		require.Equal(t, room.From.String(), got.From.String(), patch)
		room.From, got.From = settings.Moment{}, settings.Moment{}
		require.Equal(t, room, got, patch)
	}
	for patch, want := range map[string]string{
		`null`:                                   "it is null",
		`[]`:                                     "a merge patch of a room is a JSON object",
		`"x"`:                                    "a merge patch of a room is a JSON object",
		`{"colour":null}`:                        `unknown field "colour"`,
		`{"PIN":"1"}`:                            `unknown field "PIN"`,
		`{"picture":"/etc/hostname"}`:            `unknown field "picture"`,
		`{"roles":{"king":null}}`:                `unknown field "roles.king"`,
		`{"id":"b"}`:                             "id: a room keeps its id",
		`{"id":null}`:                            "id: a room keeps its id",
		`{"dial":true}`:                          "dial: ",
		`{"roles":"all"}`:                        "not what was expected",
		`{"roles":{"default":"king"}}`:           "roles: is one of",
		`{"pin":"x"}`:                            "pin: wants at most 32 digits",
		`{"until":"2026-12-24T17:00:00Z"}`:       "until: 2026-12-24T17:00:00Z is not after from",
		`{"limit":1,"max_participants":2}`:       "older name",
		`{"roles":{"observer":["web:x"]}}`:       "web:x has the role host already",
		`{"max_participants":1.5}`:               "max_participants",
		`{"from":{"deep":{"deeper":{"a":"b"}}}}`: "not what was expected",
	} {
		got, err := patchRoom(old, []byte(patch))
		require.ErrorContains(t, err, want, patch)
		require.Equal(t, old, got, patch)
		require.NotContains(t, err.Error(), "\n")
	}
}
