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

	"rendezvous/conference"
	"rendezvous/dht/value"
	"rendezvous/internal/config"
	"rendezvous/mixer/ladder"
	"rendezvous/moderation"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/minutes"
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
		conference.EventRecordingStarted, conference.EventRecordingStopped, conference.EventRecordingFailed, conference.EventOrder, conference.EventChat,
	} {
		require.Contains(t, config.Events, string(kind))
	}
	for _, calls := range []string{"public", "contacts", "list"} {
		require.Contains(t, []account.Admission{account.Public, account.ContactsOnly, account.AllowList}, account.Admission(calls))
	}
	for _, mode := range []string{"admin-invites-only", "invites-only", "public"} {
		require.Equal(t, mode, conversationModes[mode].String())
	}
	cfg := config.Default()
	m, err := mixerConfig(&cfg)
	require.NoError(t, err)
	require.Equal(t, ladder.DefaultRungs(), m.Rungs, "the configuration's default qualities are the ladder's")
}

func TestMapping(t *testing.T) {
	cfg := config.Default()
	id := "0123456789abcdef0123456789abcdef01234567"
	room := config.DefaultRoom()
	room.Title, room.PIN, room.Number, room.Layout, room.Recording = "A", "1", "100", "side-by-side", "off"
	room.Roles.Host, room.Roles.Observer = []string{"web:x"}, []string{"sip:y@z"}
	room.From = "2026-12-24T18:00:00Z"
	room.Jami = config.RoomJami{Calls: "list", Allow: []string{id}, Requests: "automatic"}
	cfg.Rooms = map[string]config.Room{"a": room}
	cfg.People = map[string]config.Person{"bob": {Identities: []string{"jami:" + id, "sip:bob@z", "web:bob"}}}
	cfg.SIP.Trunks = map[string]config.Trunk{"t": {Registrar: "sip:r", Username: "u", Password: "p", Register: true, Expiry: time.Minute, Room: "a"}}
	cfg.API.Tokens = map[string]config.Token{"bot": {Secret: "0123456789abcdef"}}

	rooms, err := roomConfigs(&cfg)
	require.NoError(t, err)
	require.Len(t, rooms, 1)
	r := rooms[0]
	require.Equal(t, map[string]moderation.Role{"web:x": moderation.Host, "sip:y@z": moderation.Observer}, r.Roles)
	require.Equal(t, moderation.Speaker, r.DefaultRole)
	require.Equal(t, moderation.RecordNever, r.Recording)
	require.Equal(t, layouts["side-by-side"], r.Layout)
	require.Equal(t, time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC), r.From)

	require.Equal(t, map[string]string{"sip:bob@z": "jami:" + id, "web:bob": "jami:" + id}, aliases(&cfg))

	s, err := sipConfig(&cfg)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"100": "a"}, s.Numbers)
	require.Equal(t, "p", s.Upstreams[0].Password)
	require.True(t, s.Upstreams[0].Register)

	w, err := webConfig(&cfg)
	require.NoError(t, err)
	require.Len(t, w.Tokens[0].Scopes, len(config.Scopes), "a token without scopes may do everything")

	p, err := jamiPolicy(room.Jami)
	require.NoError(t, err)
	key, err := value.ParseKey(id)
	require.NoError(t, err)
	require.Equal(t, account.Policy{Admission: account.AllowList, Allowed: []value.Key{key}, Requests: account.Automatic}, p)
}

func TestConversationOfARoom(t *testing.T) {
	id := "0123456789abcdef0123456789abcdef01234567"
	key, err := value.ParseKey(id)
	require.NoError(t, err)
	room := config.DefaultRoom()
	room.Conversation = config.Conversation{Enabled: true, Mode: "public", Invite: "callers", Members: []string{id}, Join: "never", Moderators: "admins"}
	off := config.DefaultRoom()
	off.Conversation.Enabled = false
	cfg := config.Default()
	cfg.Rooms = map[string]config.Room{"a": room, "off": off}
	h := &house{}
	h.cfg.Store(&cfg)
	p, ok := h.conversation("a")
	require.True(t, ok)
	require.Equal(t, minutes.Policy{Mode: commit.Public, Invite: minutes.InviteCallers, Members: []value.Key{key}, Join: minutes.JoinNever, Moderators: minutes.ModeratorsAdmins}, p)
	_, ok = h.conversation("off")
	require.False(t, ok)
	p, ok = h.conversation("made-at-run-time")
	require.True(t, ok)
	require.Equal(t, minutes.Policy{Mode: commit.InvitesOnly, Invite: minutes.InviteContacts, Join: minutes.JoinContacts, Moderators: minutes.ModeratorsNone}, p)
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
	defer h.closeHooks()
	tell(conference.Event{Kind: conference.EventJoined, Room: "main"})
	tell(conference.Event{Kind: conference.EventLeft, Room: "main", Name: "Ann"})
	select {
	case text := <-got:
		require.Contains(t, text, `participant.left {"kind":"participant.left"`)
		require.Contains(t, text, `"name":"Ann"`)
	case <-time.After(patience):
		t.Fatal("nothing was posted")
	}
}
