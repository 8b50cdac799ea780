package web_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/moderation"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/links"
	"rendezvous/signalling/web/webtest"
)

// A link lets in until it is revoked; who is in by then stays. One that is made out to somebody is that person, another one
// whoever has it: a ban then holds for one browser, and for its network until the room knows who comes from there.
func TestLinksLetPeopleIn(t *testing.T) {
	t.Parallel()
	book, err := links.Open(filepath.Join(t.TempDir(), "links.json"))
	require.NoError(t, err)
	rooms := []settings.Room{{ID: "lab", PIN: "271828", Lobby: true, Roles: settings.Roles{Default: moderation.Listener}}}
	h := webtest.Open(t, rooms, func(c *web.Config) {
		c.JoinSecret, c.Links, c.MediaWithin = []byte("0123456789abcdef"), book, time.Hour
	})
	room, err := h.Host.Room("lab")
	require.NoError(t, err)
	makeLink := func(role, name string) links.Link {
		l, err := book.Make(links.Link{Room: "lab", Role: role, Name: name, Expires: time.Now().Add(time.Hour)})
		require.NoError(t, err)
		return l
	}
	come := func(device string, l links.Link) (*websocket.Conn, map[string]any) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		header := http.Header{}
		if device != "" {
			header.Set("Cookie", "rendezvous_device="+strings.Repeat(device, 32))
		}
		conn, _, err := websocket.Dial(ctx, strings.Replace(h.Door.URL(), "http", "ws", 1)+"/ws", &websocket.DialOptions{HTTPHeader: header})
		require.NoError(t, err)
		t.Cleanup(func() { conn.CloseNow() })
		room, token, ok := strings.Cut(h.Door.LinkURL(l), "#token=")
		require.True(t, ok)
		require.Equal(t, h.Door.URL()+"/r/lab", room)
		require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(`{"type":"join","room":"lab","name":"Guest","token":"`+token+`"}`)))
		return conn, webtest.Receive(t, conn, "")
	}
	see := func(welcome map[string]any) conference.Participant {
		t.Helper()
		require.Equal(t, "welcome", welcome["type"], welcome)
		p, err := room.Info().Find(welcome["id"].(string))
		require.NoError(t, err)
		return *p
	}

	guests := makeLink(links.Guest, "")
	conn, m := come("a", guests)
	ann := see(m)
	require.Equal(t, moderation.Listener, ann.Role, "as the room has it for everybody")
	require.False(t, ann.Waiting)
	_, m = come("b", guests)
	ben := see(m)
	require.NotEqual(t, ann.Identity, ben.Identity)

	_, m = come("", guests) // a program that takes no cookies
	require.Equal(t, "web:link-"+guests.ID, see(m).Identity)

	cid := makeLink("moderator", "Cid")
	_, m = come("c", cid)
	require.Equal(t, moderation.Moderator, see(m).Role)
	require.Equal(t, "Cid", see(m).Name)
	require.Equal(t, "web:link-"+cid.ID, see(m).Identity)

	// Banned, Ben is kept out, and with another cookie no better off than others of that network.
	operator := conference.Operator{Role: moderation.Host}
	require.NoError(t, room.Order(operator, moderation.Order{Action: moderation.Ban, Target: ben.ID, On: true}))
	_, m = come("b", guests)
	require.Equal(t, "banned", m["code"])
	for _, device := range []string{"d", ""} { // another cookie, and none at all
		_, m = come(device, guests)
		require.True(t, see(m).Waiting, "device %q", device)
	}

	require.NoError(t, book.Revoke("lab", guests.ID))
	for range 20 { // it is no guess
		_, m = come("e", guests)
		require.Equal(t, "token", m["code"], m)
		require.Contains(t, m["text"], "revoked")
	}
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)))
	webtest.Receive(t, conn, "pong") // Ann is in still
	_, m = come("f", makeLink(links.Guest, ""))
	require.Equal(t, "welcome", m["type"], m)
	// A token that no record is of is none, however well it is signed.
	_, m = come("a", links.Link{ID: "00", Room: "lab", Role: "host", Expires: time.Now().Add(time.Hour)})
	require.Equal(t, "token", m["code"], m)
}
