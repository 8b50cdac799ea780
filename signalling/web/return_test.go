package web_test

import (
	"context"
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
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DialContext: d.DialContext}}
	dead, _, err := websocket.Dial(ctx, strings.Replace(h.Door.URL(), "http", "ws", 1)+"/ws", &websocket.DialOptions{HTTPClient: client})
	require.NoError(t, err)
	defer dead.CloseNow()
	require.NoError(t, dead.Write(ctx, websocket.MessageText, []byte(`{"type":"join","room":"lab","name":"Bob"}`)))
	welcome := webtest.Receive(t, dead, "welcome")
	webtest.Receive(t, dead, "admitted")

	line := strings.Repeat("x", 4000)
	for began := time.Now(); time.Since(began) < 2*time.Second; { // until all buffers on the way are full
		for range 20 {
			require.NoError(t, room.Order(conference.Operator{Role: moderation.Host}, moderation.Order{Action: moderation.Chat, Text: line}))
		}
		time.Sleep(10 * time.Millisecond)
	}
	began := time.Now()
	_, again := h.Socket(t, `{"type":"resume","session":"`+welcome["session"].(string)+`"}`)
	require.Equal(t, "welcome", again["type"])
	require.Equal(t, welcome["id"], again["id"])
	if took := time.Since(began); took > 5*time.Second { // the host writes for ten
		t.Errorf("welcome again after %v", took)
	}
}
