package call

import (
	"encoding/json"
	"image"
	"testing"

	"github.com/stretchr/testify/require"

	"rendezvous/conference"
)

// Where people are is told in pixels of what the client is sent, which they are cut out of.
func TestConferenceInfoOfASmallerPicture(t *testing.T) {
	info := &conference.Info{Width: 1280, Height: 720, Participants: []conference.Participant{
		{ID: "p1", Streams: []conference.Stream{{Label: "main", Video: true, Rect: image.Rect(218, 180, 420, 540)}}},
		{ID: "p2", Streams: []conference.Stream{{Label: "main", Video: true, Rect: image.Rect(640, 180, 1280, 540)}}},
		{ID: "p3"},
	}}
	for shown, want := range map[image.Point][]image.Rectangle{
		{}:                 {image.Rect(0, 0, 10, 10), image.Rect(218, 180, 420, 540), image.Rect(640, 180, 1280, 540)},
		{X: 1280, Y: 720}:  {image.Rect(0, 0, 10, 10), image.Rect(218, 180, 420, 540), image.Rect(640, 180, 1280, 540)},
		{X: 640, Y: 360}:   {image.Rect(0, 0, 10, 10), image.Rect(108, 90, 210, 270), image.Rect(320, 90, 640, 270)},
		{X: 320, Y: 180}:   {image.Rect(0, 0, 10, 10), image.Rect(54, 44, 104, 134), image.Rect(160, 44, 320, 134)},
		{X: 1920, Y: 1080}: {image.Rect(0, 0, 10, 10), image.Rect(326, 270, 630, 810), image.Rect(960, 270, 1920, 810)},
	} {
		b, err := ConferenceInfo(info, "", shown)
		require.NoError(t, err)
		var got confInfo
		require.NoError(t, json.Unmarshal(b, &got))
		if shown == (image.Point{}) {
			shown = image.Pt(1280, 720)
		}
		require.Equal(t, shown, image.Pt(got.W, got.H))
		var rects []image.Rectangle
		for _, row := range got.P {
			var e confEntry
			require.NoError(t, json.Unmarshal(row, &e))
			r := image.Rect(e.X, e.Y, e.X+e.W, e.Y+e.H)
			require.True(t, r.In(image.Rectangle{Max: shown}))
			rects = append(rects, r)
		}
		require.Equal(t, want, rects)
	}
}

// A size is told of when it is another than that of what was told: not the first time, if it is the room's own.
func TestSizedIsTold(t *testing.T) {
	c := &Call{news: newNews()}
	told := func(width, height int) bool {
		c.sized(width, height)
		select {
		case <-c.news.changed:
			return true
		default:
			return false
		}
	}
	c.latest.Store(&conference.Info{Width: 1280, Height: 720})
	require.False(t, told(1280, 720))
	require.True(t, told(640, 360))
	require.True(t, told(1280, 720))
	c = &Call{news: newNews()}
	c.latest.Store(&conference.Info{Width: 1280, Height: 720})
	require.True(t, told(320, 180), "a caller who is sent a smaller one from the beginning")
}
