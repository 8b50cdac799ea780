package web_test

import (
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/signalling/web/webtest"
)

// A way into the room that is being made is said to be so, and has neither address nor code.
func TestInviteSaysWhatIsPending(t *testing.T) {
	t.Parallel()
	h := webtest.Open(t, []settings.Room{{ID: "a"}}, nil)
	h.Door.SetAddresses(func(string) []conference.Address {
		return []conference.Address{{Door: "web", Text: "https://meet.example.org/r/a"}, {Door: "jami", Pending: true}}
	})
	ann, _ := h.Socket(t, `{"type":"join","room":"a","name":"Ann"}`)
	require.NoError(t, ann.Write(t.Context(), websocket.MessageText, []byte(`{"type":"invite"}`)))
	ways := webtest.Receive(t, ann, "invite")["ways"].([]any)
	require.Len(t, ways, 2)
	require.NotContains(t, ways[0], "pending")
	require.NotEmpty(t, ways[0].(map[string]any)["code"])
	require.Equal(t, map[string]any{"kind": "jami", "address": "", "pending": true, "size": 0.0, "code": ""}, ways[1])
}
