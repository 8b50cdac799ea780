package settings_test

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

// each calls f for every setting of a room, by its name in config.yaml.
func each(t *testing.T, f func(key string, field reflect.StructField, v reflect.Value)) {
	t.Helper()
	usual := settings.Default()
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			field := v.Type().Field(i)
			key := prefix + field.Tag.Get("mapstructure")
			if _, text := reflect.TypeAssert[encoding.TextUnmarshaler](v.Field(i).Addr()); field.Type.Kind() == reflect.Struct && !text {
				walk(key+".", v.Field(i))
				continue
			}
			f(key, field, v.Field(i))
		}
	}
	walk("", reflect.ValueOf(&usual).Elem())
}

// All that is no plain text, number, switch or list reads and writes itself as text; enumerations have no other
// words than those that they say, and their defaults are among these.
func TestTexts(t *testing.T) {
	enumerations := 0
	each(t, func(key string, field reflect.StructField, v reflect.Value) {
		if field.Type.PkgPath() == "" {
			return
		}
		read := func(text string) (any, error) {
			to := reflect.New(field.Type)
			err := to.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
			return to.Elem().Interface(), err
		}
		same := func(v any) {
			text, err := v.(encoding.TextMarshaler).MarshalText()
			require.NoError(t, err, key)
			got, err := read(string(text))
			require.NoError(t, err, key)
			require.Equal(t, v, got, "%s, written as %q", key, text)
		}
		same(v.Interface())
		_, err := read("no such thing")
		text := &moderation.TextError{}
		require.ErrorAs(t, err, &text, key)
		words := v.MethodByName("Words")
		if !words.IsValid() {
			return
		}
		enumerations++
		all := words.Call(nil)[0]
		var found bool
		for i := range all.Len() {
			same(all.Index(i).Interface())
			found = found || all.Index(i).Equal(v)
			require.ErrorContains(t, err, all.Index(i).String(), key)
		}
		require.True(t, found, "%s: the default is none of the words", key)
		_, err = read("")
		require.Error(t, err, key)
	})
	require.Equal(t, 9, enumerations)
}

func TestTextsOfTimes(t *testing.T) {
	for text, want := range map[string]struct {
		d       time.Duration
		written string
	}{
		"0s": {0, "0s"}, "90s": {90 * time.Second, "1m30s"}, "10m": {10 * time.Minute, "10m"}, "1h0m0s": {time.Hour, "1h"},
		" 1h30m ": {90 * time.Minute, "1h30m"}, "2d": {48 * time.Hour, "48h"}, "1h0m5s": {time.Hour + 5*time.Second, "1h0m5s"}, "250ms": {250 * time.Millisecond, "250ms"},
	} {
		var d settings.Duration
		require.NoError(t, d.UnmarshalText([]byte(text)))
		require.Equal(t, want.d, time.Duration(d), text)
		require.Equal(t, want.written, d.String())
	}
	for _, text := range []string{"", "10", "soon", "-1d", "1.5d", "99999d", "d"} {
		var d settings.Duration
		require.EqualError(t, d.UnmarshalText([]byte(text)), `wants a duration such as "30s" or "1h30m", not "`+text+`"`)
	}
	for _, text := range []string{"", "2026-12-24T18:00:00Z", "2026-12-24T18:00:00.25+01:00"} {
		var m settings.Moment
		require.NoError(t, m.UnmarshalText([]byte(text)))
		require.Equal(t, text, m.String())
		require.Equal(t, text == "", m.IsZero())
	}
	var m settings.Moment
	require.EqualError(t, m.UnmarshalText([]byte("tomorrow")), `"tomorrow" is no point in time such as 2026-12-24T18:00:00+01:00`)
}

// A setting has one name.
func TestNames(t *testing.T) {
	each(t, func(key string, field reflect.StructField, _ reflect.Value) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if key == "-" {
			require.Equal(t, "id", name)
		} else if name != "-" {
			require.Equal(t, field.Tag.Get("mapstructure"), name, key)
		}
	})
}

// The defaults themselves are compared with docs/config.md, by internal/config.
func TestDefaults(t *testing.T) {
	room := settings.Default()
	require.EqualError(t, room.Check(), `id: "" is not of up to 63 letters a-z, digits and dashes`)
	room.ID = "main"
	require.NoError(t, room.Check())

	text, err := json.Marshal(room)
	require.NoError(t, err)
	require.Contains(t, string(text), `"layout":"auto"`)
	require.Contains(t, string(text), `"lobby_timeout":"10m"`)
	require.Contains(t, string(text), `"roles":{"default":"speaker"}`)
	var again settings.Room
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, room, again)
}

func TestOldWords(t *testing.T) {
	var room settings.Room
	require.NoError(t, json.Unmarshal([]byte(`{"recording": "never"}`), &room))
	require.Equal(t, moderation.RecordNever, room.Recording)
	text, err := json.Marshal(room.Recording)
	require.NoError(t, err)
	require.Equal(t, `"off"`, string(text))
}

func TestRoles(t *testing.T) {
	r := settings.Roles{Default: moderation.Listener, Host: []string{"web:a"}, Observer: []string{"web:b", "web:c"}}
	for identity, want := range map[string]moderation.Role{"web:a": moderation.Host, "web:c": moderation.Observer} {
		role, listed := r.Of(identity)
		require.True(t, listed)
		require.Equal(t, want, role)
	}
	_, listed := r.Of("web:d")
	require.False(t, listed)
}

func TestCheck(t *testing.T) {
	moment := func(text string) (m settings.Moment) {
		require.NoError(t, m.UnmarshalText([]byte(text)))
		return m
	}
	id := strings.Repeat("a", 40)
	for want, change := range map[string]func(*settings.Room){
		`id: "Main Room" is not of up to 63 letters a-z, digits and dashes`: func(r *settings.Room) { r.ID = "Main Room" },
		`title: is longer than 200 characters`:                              func(r *settings.Room) { r.Title = strings.Repeat("ü", 201) },
		`number: wants at most 16 digits, which a phone can dial`:           func(r *settings.Room) { r.Number = strings.Repeat("1", 17) },
		`pin: wants at most 32 digits, which a phone can dial`:              func(r *settings.Room) { r.PIN = "secret" },
		`moderator_pin: wants at most 32 digits, which a phone can dial`:    func(r *settings.Room) { r.ModeratorPIN = strings.Repeat("1", 33) },
		`moderator_pin: is the same as pin; everybody would be a moderator`: func(r *settings.Room) { r.PIN, r.ModeratorPIN = "1", "1" },
		`layout: is one of auto, grid, one-big, one-big-with-small, side-by-side, not "pile"`: func(r *settings.Room) {
			r.Layout = "pile"
		},
		`echo: is one of notify, mute, off, not ""`:                                     func(r *settings.Room) { r.Echo = "" },
		`recording: is one of off, on-demand, auto, always, not "perhaps"`:              func(r *settings.Room) { r.Recording = "perhaps" },
		`lobby_timeout: 9s is not between 10s and 24h`:                                  func(r *settings.Room) { r.LobbyTimeout = settings.Duration(9 * time.Second) },
		`max_participants: -1 is not between 0 and 10000`:                               func(r *settings.Room) { r.MaxParticipants = -1 },
		`max_duration: 721h is not between 0s and 720h`:                                 func(r *settings.Room) { r.MaxDuration = settings.Duration(721 * time.Hour) },
		`host_grace: -1s is not between 0s and 1h`:                                      func(r *settings.Room) { r.HostGrace = settings.Duration(-time.Second) },
		`until: 2026-12-24T18:00:00Z is not after from`:                                 func(r *settings.Room) { r.From = moment("2026-12-24T18:00:00Z"); r.Until = r.From },
		`roles.default: is one of listener, speaker, not "moderator"`:                   func(r *settings.Room) { r.Roles.Default = moderation.Moderator },
		`roles.observer: web:x has the role host already`:                               func(r *settings.Room) { r.Roles.Host, r.Roles.Observer = []string{"web:x"}, []string{"web:x"} },
		`jami.calls: is one of public, contacts, list, not "all"`:                       func(r *settings.Room) { r.Jami.Calls = "all" },
		`jami.requests: is one of moderated, automatic, refused, not "x"`:               func(r *settings.Room) { r.Jami.Requests = "x" },
		`jami.allow: "bob" is no Jami id of 40 hex digits`:                              func(r *settings.Room) { r.Jami.Allow = []string{id, "bob"} },
		`conversation.mode: is one of admin-invites-only, invites-only, public, not ""`: func(r *settings.Room) { r.Conversation.Mode = "" },
		`conversation.invite: is one of none, contacts, callers, not "x"`:               func(r *settings.Room) { r.Conversation.Invite = "x" },
		`conversation.join: is one of anybody, contacts, never, not "x"`:                func(r *settings.Room) { r.Conversation.Join = "x" },
		`conversation.moderators: is one of none, admins, members, not "x"`:             func(r *settings.Room) { r.Conversation.Moderators = "x" },
		`conversation.members: "bob" is no Jami id of 40 hex digits`:                    func(r *settings.Room) { r.Conversation.Members = []string{"bob"} },
		`roles.host: "bob" is no identity such as jami:<40 hex digits>, sip:user@host or web:<subject>`: func(r *settings.Room) {
			r.Roles.Host = []string{"bob"}
		},
	} {
		room := settings.Default()
		room.ID = "main"
		change(&room)
		require.EqualError(t, room.Check(), want)
	}
	room := settings.Default()
	room.ID, room.Title, room.PIN, room.ModeratorPIN = "main", strings.Repeat("ü", 200), strings.Repeat("1", 32), "2"
	room.HostGrace, room.From = 0, moment("2026-12-24T18:00:00Z")
	room.Until, room.Jami.Allow = moment("2026-12-24T18:00:00.5Z"), []string{id}
	require.NoError(t, room.Check())
}

// Whoever writes to the control API may write anything.
func FuzzTexts(f *testing.F) {
	for _, s := range []string{"grid", "never", "10m", "7d", "2026-12-24T18:00:00Z", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d settings.Duration
		if d.UnmarshalText([]byte(text)) == nil {
			var again settings.Duration
			if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
				t.Errorf("%q is written as %q: %v", text, d, err)
			}
		}
		var m settings.Moment
		if m.UnmarshalText([]byte(text)) == nil {
			var again settings.Moment
			if err := again.UnmarshalText([]byte(m.String())); err != nil || !time.Time(again).Equal(time.Time(m)) {
				t.Errorf("%q is written as %q: %v", text, m, err)
			}
		}
	})
}
