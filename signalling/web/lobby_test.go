package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/internal/eventually"
	"rendezvous/moderation"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/webtest"
)

// Who has been in a room and is moved into another's lobby is told nothing of that: not by asking, and not by
// coming back on another connection.
func TestLobbyAfterMove(t *testing.T) {
	t.Parallel()
	role := moderation.Listener
	h := webtest.Open(t, []settings.Room{{ID: "a"}, {ID: "b", Title: "Board", Lobby: true}}, func(c *web.Config) {
		c.MediaWithin, c.RecordingsRole = time.Hour, &role
	})
	a, err := h.Host.Room("a")
	require.NoError(t, err)
	b, err := h.Host.Room("b")
	require.NoError(t, err)
	admit := func(of *conference.Room, name string) {
		require.NoError(t, of.Order(conference.Operator{Role: moderation.Host}, moderation.Order{Action: moderation.Admit, Target: name}))
	}
	bob, welcome := h.Socket(t, `{"type":"join","room":"b","name":"Bob"}`)
	admit(b, welcome["id"].(string))
	webtest.Receive(t, bob, "info")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	say := func(c *websocket.Conn, message string) {
		require.NoError(t, c.Write(ctx, websocket.MessageText, []byte(message)))
	}
	say(bob, `{"type":"chat","n":1,"text":"we sell on Friday"}`)
	webtest.Receive(t, bob, "result")

	eve, welcome := h.Socket(t, `{"type":"join","room":"a","name":"Eve"}`)
	webtest.Receive(t, eve, "info")
	require.NoError(t, a.Order(conference.Operator{Role: moderation.Host}, moderation.Order{Action: moderation.Move, Target: welcome["id"].(string), Text: "b"}))
	for {
		if n := webtest.Receive(t, eve, "notice"); n["notice"].(map[string]any)["kind"] == "lobby" {
			break
		}
	}
	for ask, answer := range map[string]string{"invite": "ways", "recordings": "list", "audit": "list", "contacts": "list"} {
		say(eve, `{"type":"`+ask+`"}`)
		if m := webtest.Receive(t, eve, ask); len(m[answer].([]any)) != 0 {
			t.Errorf("the lobby asks for %s: %v", ask, m)
		}
	}
	eve.CloseNow()
	again, back := h.Socket(t, `{"type":"resume","session":"`+welcome["session"].(string)+`"}`)
	require.Equal(t, "welcome", back["type"])
	say(bob, `{"type":"chat","n":2,"text":"or on Monday"}`)
	webtest.Receive(t, bob, "result")
	say(again, `{"type":"ping"}`)
	for {
		m := webtest.Receive(t, again, "")
		if m["type"] == "pong" {
			break
		}
		text, err := json.Marshal(m)
		require.NoError(t, err)
		if m["type"] == "admitted" || m["type"] == "chat" || strings.Contains(string(text), "Bob") {
			t.Errorf("the lobby is told %s", text)
		}
	}
	admit(b, welcome["id"].(string))
	if c := webtest.Receive(t, again, "chat"); c["message"].(map[string]any)["text"] != "we sell on Friday" {
		t.Errorf("let in, Eve reads %v", c)
	}
}

// One network has a bound on its sessions, and gives back what it no longer has.
func TestSessionsOfOneNetwork(t *testing.T) {
	t.Parallel()
	h := webtest.Open(t, []settings.Room{{ID: "lab"}}, func(c *web.Config) { c.MediaWithin, c.MaxSessionsOfNetwork = time.Hour, 2 })
	first, m := h.Socket(t, `{"type":"join","room":"lab","name":"1"}`)
	require.Equal(t, "welcome", m["type"])
	_, m = h.Socket(t, `{"type":"join","room":"lab","name":"2"}`)
	require.Equal(t, "welcome", m["type"])
	_, m = h.Socket(t, `{"type":"join","room":"lab","name":"3"}`)
	require.Equal(t, "refused", m["type"])
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, first.Write(ctx, websocket.MessageText, []byte(`{"type":"leave"}`)))
	webtest.Receive(t, first, "ended")
	eventually.NoError(t, func() error {
		if _, m := h.Socket(t, `{"type":"join","room":"lab","name":"4"}`); m["type"] != "welcome" {
			return fmt.Errorf("where one has left, the next gets %v", m)
		}
		return nil
	})
}
