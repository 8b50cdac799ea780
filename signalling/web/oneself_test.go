package web_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/moderation"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/webtest"
)

// What a page's person does for themselves, and what the others are told of it: reactions, as many as the host lets pass, and their
// name, by the rules of joining.
func TestReactionsAndNames(t *testing.T) {
	t.Parallel()
	h := webtest.Open(t, []settings.Room{{ID: "a", SelfUnmute: true}}, func(c *web.Config) { c.MediaWithin = time.Hour })
	ann, _ := h.Socket(t, `{"type":"join","room":"a","name":"Ann"}`)
	webtest.Receive(t, ann, "info")
	bob, welcome := h.Socket(t, `{"type":"join","room":"a","name":"Bob"}`)
	id := welcome["id"].(string)
	webtest.Receive(t, bob, "info")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	order := func(order string) map[string]any {
		t.Helper()
		require.NoError(t, bob.Write(ctx, websocket.MessageText, []byte(`{"type":"order","n":7,"order":`+order+`}`)))
		return webtest.Receive(t, bob, "result")
	}

	require.Equal(t, true, order(`{"action":"react","text":"👏"}`)["ok"])
	require.Equal(t, map[string]any{"type": "reaction", "from": id, "name": "Bob", "text": "👏"}, webtest.Receive(t, ann, "reaction"))
	refused := 0
	for range 5 {
		if order(`{"action":"react","text":"🎉"}`)["ok"] == false {
			refused++
		}
	}
	require.GreaterOrEqual(t, refused, 2, "of six reactions at once")
	require.NoError(t, bob.Write(ctx, websocket.MessageText, []byte(`{"type":"order","n":8,"order":{"action":"react","text":"<b>"}}`)))
	require.Contains(t, webtest.Receive(t, bob, "error")["text"], "react takes one of")

	for _, c := range []struct{ asked, want string }{
		{"  Robert\\n\\u202eTables ", "Robert Tables"},
		{"ann", "ann (2)"},
		{strings.Repeat("x", 100), strings.Repeat("x", 64)},
	} {
		require.Equal(t, true, order(`{"action":"rename","text":"` + c.asked + `"}`)["ok"])
		for told := ""; told != c.want; {
			set, _ := webtest.Receive(t, ann, "info")["set"].([]any)
			for _, p := range set {
				if p := p.(map[string]any); p["id"] == id {
					told = p["name"].(string)
				}
			}
		}
	}
	room, err := h.Host.Room("a")
	require.NoError(t, err)

	// Whom a moderator has muted is heard again if they switch their microphone on, and not by anything else that they switch.
	muted := func() bool {
		for _, p := range room.Info().Participants {
			if p.ID == id {
				return p.Muted
			}
		}
		return false
	}
	media := func(text string) {
		t.Helper()
		require.NoError(t, bob.Write(ctx, websocket.MessageText, []byte(`{"type":"media","n":9,`+text+`}`)))
		require.Equal(t, true, webtest.Receive(t, bob, "result")["ok"])
	}
	media(`"mic":true`)
	require.NoError(t, room.Order(conference.Operator{Role: moderation.Host}, moderation.Order{Action: moderation.Mute, Target: id, On: true}))
	media(`"mic":true,"camera":true`)
	require.True(t, muted())
	media(`"mic":false`)
	media(`"mic":true`)
	require.False(t, muted())
	renames := 0
	for _, e := range room.Audit(0) {
		require.NotEqual(t, moderation.React, e.Order.Action, "it is on record")
		if e.Order.Action == moderation.Rename {
			renames++
		}
	}
	require.Equal(t, 3, renames)
}
