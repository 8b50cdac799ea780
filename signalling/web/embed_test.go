package web_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/moderation"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/webtest"
)

// As shipped, no page has ours in a frame; with web.embed those alone do that are listed, and a browser is known again there too.
func TestWhoMayEmbedThePage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		embed                 []string
		ancestors, deny, site string
	}{
		{nil, "frame-ancestors 'none'", "DENY", "SameSite=Lax"},
		{[]string{"https://intranet.example.org", "http://[::1]:8080"}, "frame-ancestors https://intranet.example.org http://[::1]:8080", "", "Secure; SameSite=None; Partitioned"},
	} {
		h := webtest.Open(t, []settings.Room{{ID: "a"}}, func(c *web.Config) { c.Embed = test.embed })
		header := map[string]string{"Sec-Fetch-Dest": "iframe"}
		url := h.Door.URL() + "/r/a"
		r, _ := webtest.Do(t, "GET", url, "", header)
		require.Contains(t, r.Header.Get("Content-Security-Policy"), test.ancestors)
		require.Equal(t, test.deny, r.Header.Get("X-Frame-Options"))
		require.Contains(t, r.Header.Get("Set-Cookie"), test.site)
		r, _ = webtest.Do(t, "GET", url, "", nil)
		require.Contains(t, r.Header.Get("Set-Cookie"), "SameSite=Lax", "a page that is in no frame")
		_, body := webtest.Do(t, "GET", url+"/about", "", nil)
		var about struct{ Embed []string }
		require.NoError(t, json.Unmarshal([]byte(body), &about))
		require.Equal(t, append([]string{}, test.embed...), about.Embed)
	}
	for _, bad := range []string{"https://a.example.org/", "https://a.example.org b", "https://*.example.org", "a.example.org", "'self'", "https://a.example.org;sandbox", "data:x"} {
		_, err := web.New(web.Config{Host: new(conference.Host), Embed: []string{bad}})
		require.ErrorContains(t, err, "embed the page", bad)
	}
}

// idle is a recorder that keeps nothing.
type idle struct{}

func (idle) Start(context.Context, conference.RecordingRequest) (conference.Recording, error) {
	return idle{}, nil
}
func (idle) ID() string            { return "" }
func (idle) Pause() error          { return nil }
func (idle) Resume() error         { return nil }
func (idle) Stop() error           { return nil }
func (idle) Info(*conference.Info) {}
func (idle) Failed() <-chan error  { return nil }

// The page knows before anybody joins whether they will be recorded.
func TestAboutTellsOfRecordings(t *testing.T) {
	t.Parallel()
	rooms := []settings.Room{{ID: "a", Recording: moderation.RecordOnOrder}, {ID: "b", Recording: moderation.RecordAuto}}
	h := webtest.OpenRecording(t, idle{}, rooms, func(c *web.Config) { c.MediaWithin = time.Hour })
	recorded := func(room string) bool {
		_, body := webtest.Do(t, "GET", h.Door.URL()+"/r/"+room+"/about", "", nil)
		var about map[string]any
		require.NoError(t, json.Unmarshal([]byte(body), &about))
		return about["recorded"].(bool)
	}
	require.False(t, recorded("a"))
	require.True(t, recorded("b"), "it begins with whoever comes")
	_, m := h.Socket(t, `{"type":"join","room":"a","name":"Ann"}`)
	require.Equal(t, "welcome", m["type"])
	room, err := h.Host.Room("a")
	require.NoError(t, err)
	require.NoError(t, room.Order(conference.Operator{Role: moderation.Host}, moderation.Order{Action: moderation.Record, Text: "start"}))
	require.True(t, recorded("a"))
	require.NoError(t, room.Order(conference.Operator{Role: moderation.Host}, moderation.Order{Action: moderation.Record, Text: "stop"}))
	require.False(t, recorded("a"))
}
