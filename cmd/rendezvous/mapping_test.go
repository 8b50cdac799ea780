package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/dht/value"
	"rendezvous/internal/config"
	"rendezvous/mixer/ladder"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/roomlog"
	"rendezvous/signalling/web/control"
	"rendezvous/swarm/commit"
)

// The words that the configuration knows are those that the parts know.
func TestWordsOfTheConfiguration(t *testing.T) {
	for _, s := range config.Scopes {
		_, err := control.ParseScope(s)
		require.NoError(t, err)
	}
	for _, kind := range []conference.EventKind{
		conference.EventMeetingBegan, conference.EventMeetingEnded, conference.EventWaiting, conference.EventJoined, conference.EventLeft,
		conference.EventRecordingStarted, conference.EventRecordingStopped, conference.EventRecordingFailed,
		conference.EventRecordingDone, conference.EventOrder, conference.EventChat,
	} {
		require.Contains(t, config.Events, string(kind))
	}
	var described struct {
		Components struct {
			Schemas struct {
				Event struct {
					Properties struct{ Kind struct{ Enum []string } }
				} `yaml:"Event"`
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(control.OpenAPI, &described))
	require.Equal(t, config.Events, described.Components.Schemas.Event.Properties.Kind.Enum)
	for _, mode := range settings.ModePublic.Words() {
		require.Equal(t, string(mode), conversationModes[mode].String())
	}
	cfg := config.Default()
	m, err := mixerConfig(&cfg)
	require.NoError(t, err)
	require.Equal(t, ladder.DefaultRungs(), m.Rungs, "the configuration's default qualities are the ladder's")
}

func TestMapping(t *testing.T) {
	cfg := config.Default()
	id := "0123456789abcdef0123456789abcdef01234567"
	room := settings.Default()
	room.ID, room.Title, room.Number = "a", "A", "100"
	room.Jami = settings.Jami{Calls: settings.CallsList, Allow: []string{id}, Requests: settings.RequestsAutomatic}
	cfg.Rooms = map[string]settings.Room{"a": room}
	cfg.People = map[string]config.Person{"bob": {Identities: []string{"jami:" + id, "sip:bob@z", "web:bob"}}}
	cfg.SIP.Trunks = map[string]config.Trunk{"t": {Registrar: "sip:r", Username: "u", Password: "p", Register: true, Expiry: time.Minute, Room: "a"}}
	cfg.API.Tokens = map[string]config.Token{"bot": {Secret: "0123456789abcdef"}}

	require.Equal(t, []settings.Room{room}, declared(&cfg))
	require.Equal(t, map[string]string{"sip:bob@z": "jami:" + id, "web:bob": "jami:" + id}, aliases(&cfg))

	s, err := sipConfig(&cfg)
	require.NoError(t, err)
	require.Equal(t, "p", s.Upstreams[0].Password)
	require.True(t, s.Upstreams[0].Register)

	w, err := webConfig(&cfg)
	require.NoError(t, err)
	require.Len(t, w.Tokens[0].Scopes, len(config.Scopes), "a token without scopes may do everything")
	cfg.Web.MediaTCP = ":8443"
	w, err = webConfig(&cfg)
	require.NoError(t, err)
	require.Equal(t, ":8080", w.MediaUDP, "media over TCP is for those whom UDP does not reach")

	key, err := value.ParseKey(id)
	require.NoError(t, err)
	require.Equal(t, account.Policy{Admission: settings.CallsList, Allowed: []value.Key{key}, Requests: settings.RequestsAutomatic}, jamiPolicy(room.Jami))
}

func TestConversationOfARoom(t *testing.T) {
	id := "0123456789abcdef0123456789abcdef01234567"
	key, err := value.ParseKey(id)
	require.NoError(t, err)
	room, off, made, cfg := settings.Default(), settings.Default(), settings.Default(), config.Default()
	room.ID, off.ID, made.ID = "a", "off", "made"
	room.Conversation = settings.Conversation{Enabled: true, Mode: settings.ModePublic, Invite: settings.InviteCallers,
		Members: []string{id}, Join: settings.JoinNever, Moderators: settings.ModeratorsAdmins}
	off.Conversation.Enabled = false
	made.Conversation.Join, made.Jami.Calls = settings.JoinAnybody, settings.CallsContacts
	cfg.Rooms = map[string]settings.Room{"a": room, "off": off}
	h := &house{}
	h.host, err = conference.NewHost(conference.Config{Log: slog.New(slog.DiscardHandler), Rooms: declared(&cfg)})
	require.NoError(t, err)
	defer h.host.Close()
	_, err = h.host.Create(made)
	require.NoError(t, err)
	p, ok := h.conversation("a")
	require.True(t, ok)
	require.Equal(t, roomlog.Policy{Mode: commit.Public, Invite: settings.InviteCallers, Members: []value.Key{key}, Join: settings.JoinNever, Moderators: settings.ModeratorsAdmins}, p)
	_, ok = h.conversation("off")
	require.False(t, ok)
	p, ok = h.conversation("made")
	require.True(t, ok, "a room made at run time has settings of its own")
	require.Equal(t, roomlog.Policy{Mode: commit.InvitesOnly, Invite: settings.InviteContacts, Join: settings.JoinAnybody, Moderators: settings.ModeratorsNone}, p)
	require.Equal(t, account.Policy{Admission: settings.CallsContacts, Requests: settings.RequestsModerated}, jamiPolicy(h.room("made").Jami))
}

func TestWebhooks(t *testing.T) {
	got := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Header.Get("X-Rendezvous-Event") + " " + string(body)
	}))
	defer server.Close()
	h := &house{log: slog.New(slog.DiscardHandler)}
	cfg := config.Default()
	h.cfg.Store(&cfg)
	h.events(&cfg, prometheus.NewRegistry())(conference.Event{Kind: conference.EventJoined}) // nobody is told
	cfg.Webhooks = map[string]config.Webhook{"a": {URL: server.URL, Secret: "0123456789abcdef", Events: []string{"participant.left"}}}
	tell := h.events(&cfg, prometheus.NewRegistry())
	defer func() { h.hooks.close(0) }()
	tell(conference.Event{Kind: conference.EventJoined, Room: "main"})
	tell(conference.Event{Kind: conference.EventLeft, Room: "main", Name: "Ann"})
	select {
	case text := <-got:
		require.Contains(t, text, `participant.left {"kind":"participant.left"`)
		require.Contains(t, text, `"name":"Ann"`)
	case <-time.After(patience):
		t.Fatal("nothing was posted")
	}

	// A reload: one that has changed is another one, one that is new is told, one that is gone is not.
	hook := cfg.Webhooks["a"]
	kept := h.hooks.running["a"].sender
	hook.Events = []string{"participant.left"}
	h.hooks.set(map[string]config.Webhook{"a": hook})
	require.Same(t, kept, h.hooks.running["a"].sender, "what has not changed goes on")
	hook.Secret, hook.Events = "fedcba9876543210", []string{"participant.joined"}
	h.hooks.set(map[string]config.Webhook{"b": hook})
	tell(conference.Event{Kind: conference.EventLeft, Room: "main", Name: "Ann"})
	tell(conference.Event{Kind: conference.EventJoined, Room: "main", Name: "Bob"})
	select {
	case text := <-got:
		require.Contains(t, text, `"name":"Bob"`)
	case <-time.After(patience):
		t.Fatal("nothing was posted after a reload")
	}
	h.hooks.set(nil)
	require.Empty(t, h.hooks.running)
}
