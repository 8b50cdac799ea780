package web_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
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

// A page whose WebSocket leads nowhere any more is welcome on another one at once, though the host is still writing to the
// former.
func TestResumesWhileTheHostWrites(t *testing.T) {
	t.Parallel()
	h := webtest.Open(t, []settings.Room{{ID: "lab"}}, func(c *web.Config) { c.MediaWithin = time.Hour })
	room, err := h.Host.Room("lab")
	require.NoError(t, err)

	// A connection that takes next to nothing stands for one that is dead.
	_, welcome := joinNarrow(t, h)
	flood(t, room)
	began := time.Now()
	_, again := h.Socket(t, `{"type":"resume","session":"`+welcome["session"].(string)+`"}`)
	require.Equal(t, "welcome", again["type"])
	require.Equal(t, welcome["id"], again["id"])
	if took := time.Since(began); took > 5*time.Second { // the host writes for ten
		t.Errorf("welcome again after %v", took)
	}
}

// Changes do not queue for a page that takes nothing for a while: afterwards it is told of the room as it is then, at once.
func TestSlowPageIsToldOfTheNewest(t *testing.T) {
	t.Parallel()
	h := webtest.Open(t, []settings.Room{{ID: "lab"}}, func(c *web.Config) { c.MediaWithin = time.Hour })
	room, err := h.Host.Room("lab")
	require.NoError(t, err)
	slow, welcome := joinNarrow(t, h)
	webtest.Receive(t, slow, "info")
	flood(t, room)

	// Each change is one that another page is told of.
	quick, _ := h.Socket(t, `{"type":"join","room":"lab","name":"Ann"}`)
	quick.SetReadLimit(1 << 20)
	id := welcome["id"].(string)
	const changes = 20 // more than the states of a room that the difference is made of
	for i := range changes {
		name := fmt.Sprint("Bob ", i)
		require.NoError(t, room.Order(conference.Operator{Role: moderation.Host}, moderation.Order{Action: moderation.Rename, Target: id, Text: name}))
		for nameIn(webtest.Receive(t, quick, "info"), id) != name {
		}
	}
	slow.SetReadLimit(1 << 20)
	infos, whole := 0, false
	for name := ""; name != fmt.Sprint("Bob ", changes-1); infos++ {
		m := webtest.Receive(t, slow, "info")
		whole = whole || m["whole"] == true
		name = nameIn(m, id)
	}
	if infos > 4 || !whole {
		t.Errorf("told by %d infos, all of the room: %t", infos, whole)
	}
}

// nameIn is a participant's name in an info; "" if it does not tell of them.
func nameIn(info map[string]any, id string) string {
	set, _ := info["set"].([]any)
	for _, p := range set {
		if p := p.(map[string]any); p["id"] == id {
			return p["name"].(string)
		}
	}
	return ""
}

// joinNarrow joins the room "lab" by a WebSocket that takes next to nothing while nobody reads.
func joinNarrow(t *testing.T, h *webtest.House) (conn *websocket.Conn, welcome map[string]any) {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DialContext: d.DialContext}}
	conn, _, err := websocket.Dial(ctx, strings.Replace(h.Door.URL(), "http", "ws", 1)+"/ws", &websocket.DialOptions{HTTPClient: client})
	require.NoError(t, err)
	t.Cleanup(func() { conn.CloseNow() })
	require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(`{"type":"join","room":"lab","name":"Bob"}`)))
	welcome = webtest.Receive(t, conn, "welcome")
	webtest.Receive(t, conn, "admitted")
	return conn, welcome
}

// flood says so much that all buffers on the way to a narrow page are full.
func flood(t *testing.T, room *conference.Room) {
	t.Helper()
	line := strings.Repeat("x", 4000)
	for began := time.Now(); time.Since(began) < 2*time.Second; {
		for range 20 {
			require.NoError(t, room.Order(conference.Operator{Role: moderation.Host}, moderation.Order{Action: moderation.Chat, Text: line}))
		}
		time.Sleep(10 * time.Millisecond)
	}
}
