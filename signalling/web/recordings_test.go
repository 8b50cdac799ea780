package web_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
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

func (shelf) ChapterTrack(context.Context, string, string) (*control.File, error) {
	return &control.File{ReadSeekCloser: nopCloser{strings.NewReader("WEBVTT\n")}, Name: "chapters.vtt", Type: "text/vtt"}, nil
}

func (shelf) Delete(context.Context, string, string) error { return control.ErrNotFound }

func (shelf) Rename(_ context.Context, _, id, name string) error {
	switch {
	case id != "1":
		return control.ErrNotFound
	case name == "":
		return control.ErrConflict
	}
	return nil
}

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
		film, _ := webtest.Do(t, "GET", h.Door.URL()+link.(map[string]any)["url"].(string), "", nil)
		chapters, text := webtest.Do(t, "GET", h.Door.URL()+link.(map[string]any)["chapters"].(string), "", nil)
		require.Equal(t, film.StatusCode, chapters.StatusCode, text)
		return film.StatusCode
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

// endless is a catalogue whose film has no end, and is read as fast as it is taken.
type endless struct {
	shelf
	once *sync.Once
	read chan struct{} // closed when it is being read
}

type endlessFilm struct{ endless }

func (f endlessFilm) Read(p []byte) (int, error) {
	f.once.Do(func() { close(f.read) })
	return len(p), nil
}
func (endlessFilm) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekEnd {
		return 1 << 50, nil
	}
	return offset, nil
}
func (endlessFilm) Close() error { return nil }

func (e endless) Open(context.Context, string, string) (*control.File, error) {
	return &control.File{ReadSeekCloser: endlessFilm{e}, Name: "1.mp4", Type: "video/mp4"}, nil
}

// A download that has begun ends when its person is banned.
func TestBanEndsADownload(t *testing.T) {
	t.Parallel()
	film := endless{once: new(sync.Once), read: make(chan struct{})}
	h := webtest.Open(t, []settings.Room{{ID: "a", PIN: "2718"}}, func(c *web.Config) { c.MediaWithin, c.Recordings = time.Hour, film })
	conn, welcome := h.Socket(t, `{"type":"join","room":"a","name":"Ann","pin":"2718"}`)
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"recordings"}`)))
	link := webtest.Receive(t, conn, "recordings")["list"].([]any)[0].(map[string]any)["url"].(string)
	resp, err := http.Get(h.Door.URL() + link)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)
	<-film.read
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, resp.Body)
		ended <- err
	}()
	room, err := h.Host.Room("a")
	require.NoError(t, err)
	require.NoError(t, room.Order(conference.Operator{Role: moderation.Host}, moderation.Order{Action: moderation.Ban, Target: welcome["id"].(string), On: true}))
	select {
	case err := <-ended:
		require.Error(t, err, "the film has no end")
	case <-time.After(20 * time.Second):
		t.Fatal("the download goes on")
	}
}

// A link is of the browser that was given it, and a name is for moderators to give.
func TestRecordingLinksAndNames(t *testing.T) {
	t.Parallel()
	h := webtest.Open(t, []settings.Room{{ID: "a", PIN: "2718", ModeratorPIN: "9999"}}, func(c *web.Config) { c.MediaWithin, c.Recordings = time.Hour, shelf{} })
	cookie := func(of string) http.Header {
		return http.Header{"Cookie": {"rendezvous_device=" + strings.Repeat(of, 32)}}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(h.Door.URL(), "http", "ws", 1)+"/ws", &websocket.DialOptions{HTTPHeader: cookie("a")})
	require.NoError(t, err)
	defer conn.CloseNow()
	say := func(conn *websocket.Conn, text string) {
		require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(text)))
	}
	say(conn, `{"type":"join","room":"a","name":"Ann","pin":"2718"}`)
	say(conn, `{"type":"recordings"}`)
	link := webtest.Receive(t, conn, "recordings")["list"].([]any)[0].(map[string]any)["url"].(string)
	for of, want := range map[string]int{"a": 200, "b": 403} {
		r, _ := webtest.Do(t, "GET", h.Door.URL()+link, "", map[string]string{"Cookie": cookie(of).Get("Cookie")})
		require.Equal(t, want, r.StatusCode, of)
	}
	r, _ := webtest.Do(t, "GET", h.Door.URL()+link, "", nil)
	require.Equal(t, 403, r.StatusCode, "a browser without a cookie")

	say(conn, `{"type":"name-recording","n":1,"recording":"1","text":"Weekly"}`)
	require.Equal(t, "Only moderators name recordings.", webtest.Receive(t, conn, "result")["text"])
	lea, _ := h.Socket(t, `{"type":"join","room":"a","name":"Lea","pin":"9999"}`)
	for message, want := range map[string]any{
		`{"type":"name-recording","n":1,"recording":"1","text":"Weekly"}`: nil,
		`{"type":"name-recording","n":1,"recording":"2","text":"Weekly"}`: "There is no such recording.",
		`{"type":"name-recording","n":1,"recording":"1","text":""}`:       "A name has a letter at least, and at most 200.",
	} {
		say(lea, message)
		require.Equal(t, want, webtest.Receive(t, lea, "result")["text"], message)
	}
}
