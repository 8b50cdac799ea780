package web_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/internal/eventually"
	"rendezvous/moderation"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/control"
	"rendezvous/signalling/web/webtest"
)

// shelf is a catalogue of one recording.
type shelf struct{}

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

func (shelf) List(_ context.Context, room string) ([]control.Recording, error) {
	return []control.Recording{{ID: "1", Room: room, Type: "video/mp4"}}, nil
}

func (shelf) Open(context.Context, string, string) (*control.File, error) {
	return &control.File{ReadSeekCloser: nopCloser{bytes.NewReader([]byte("film"))}, Name: "1.mp4", Type: "video/mp4"}, nil
}

func (shelf) Chapters(context.Context, string, string) ([]control.Chapter, error) { return nil, nil }
func (shelf) Delete(context.Context, string, string) error                        { return control.ErrNotFound }

// As shipped, a passer-by gets no recordings, and a link is of no use to who has been put out, or to another room.
func TestRecordingsAreKeptFromStrangers(t *testing.T) {
	t.Parallel()
	h := webtest.Open(t, []settings.Room{{ID: "open", ModeratorPIN: "9999"}, {ID: "closed", PIN: "2718"}, {ID: "other"}}, func(c *web.Config) {
		c.MediaWithin, c.Recordings = time.Hour, shelf{}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	come := func(room, pin string) (participant string, links []any) {
		conn, welcome := h.Socket(t, `{"type":"join","room":"`+room+`","name":"Somebody","pin":"`+pin+`"}`)
		webtest.Receive(t, conn, "info")
		require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(`{"type":"recordings"}`)))
		return welcome["id"].(string), webtest.Receive(t, conn, "recordings")["list"].([]any)
	}
	status := func(link any) int {
		r, _ := webtest.Do(t, "GET", h.Door.URL()+link.(map[string]any)["url"].(string), "", nil)
		return r.StatusCode
	}
	_, none := come("open", "")
	require.Empty(t, none, "somebody in a room that anybody comes into")
	_, links := come("open", "9999")
	require.Len(t, links, 1, "its moderator")
	require.Equal(t, 200, status(links[0]))

	order := func(room string, o moderation.Order) {
		r, err := h.Host.Room(room)
		require.NoError(t, err)
		require.NoError(t, r.Order(conference.Operator{Role: moderation.Host, Elsewhere: func(string) bool { return true }}, o))
	}
	banned, links := come("closed", "2718")
	require.Len(t, links, 1, "somebody with the PIN")
	require.Equal(t, 200, status(links[0]))
	order("closed", moderation.Order{Action: moderation.Ban, Target: banned, On: true})
	eventually.True(t, "banned", func() bool { return status(links[0]) == 403 })

	moved, links := come("open", "9999")
	require.Equal(t, 200, status(links[0]))
	order("open", moderation.Order{Action: moderation.Move, Target: moved, Text: "other"})
	require.Equal(t, 403, status(links[0]), "in another room")
}
