package browser

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"image"
	"math"
	"strings"
	"time"

	"rendezvous/internal/experience"
)

var (
	//go:embed watch.js
	watchScript string
	//go:embed flash.js
	flashScript string
)

// Watch says what of a meeting is looked at and listened for.
type Watch struct {
	Tone float64         // Hz
	Spot image.Rectangle // part of the mixed picture, as if that had 1280x720; empty: nobody looks at one
}

// notices are the elements by which the page tells why the picture stands still: what covers it, and that the network is poor.
const notices = ".cover, .quality[data-rating=poor], .quality[data-rating=lost]"

// Stats are what the page and its connection say of themselves at a time.
type Stats struct {
	At         time.Time
	Phase      string  // of the call: "in", "reconnecting" …
	Connection string  // of the RTCPeerConnection
	Estimate   float64 // bit/s that the host thinks the page can take
	Notice     bool    // the page tells why the picture stands still
	// In and Out are the numbers of inbound-rtp and outbound-rtp (https://www.w3.org/TR/webrtc-stats/) by "audio" and "video", Pair those of
	// the nominated candidate pair.
	In, Out map[string]map[string]float64
	Pair    map[string]float64
}

// Seen is what a page has shown and played, from when Watch was called, or Seen the last time.
type Seen struct {
	Pictures []experience.Picture
	Sounds   []experience.Sound
	Stats    []Stats // twice a second
}

// Watch begins to look at every picture that the meeting's page shows and to listen to every 10 ms that it plays. The page
// must be in the room.
func (b *Browser) Watch(w Watch) error {
	type rect struct {
		X      int `json:"x"`
		Y      int `json:"y"`
		Width  int `json:"width"`
		Height int `json:"height"`
	}
	options := struct {
		Tone    float64 `json:"tone"`
		Spot    *rect   `json:"spot"`
		Notices string  `json:"notices"`
	}{Tone: w.Tone, Notices: notices}
	if !w.Spot.Empty() {
		options.Spot = &rect{w.Spot.Min.X, w.Spot.Min.Y, w.Spot.Dx(), w.Spot.Dy()}
	}
	text, err := json.Marshal(options)
	if err != nil {
		return fmt.Errorf("watching: %w", err)
	}
	return b.Eval(strings.Replace(watchScript, "OPTIONS", string(text), 1), nil)
}

// Seen returns what was seen and heard since the last time.
func (b *Browser) Seen() (Seen, error) {
	var raw struct {
		Pictures [][5]float64
		Sounds   [][4]float64
		Stats    []struct {
			Stats
			At float64
		}
		Errors []string
	}
	if err := b.Eval("watch.take()", &raw); err != nil {
		return Seen{}, err
	}
	if len(raw.Errors) > 0 {
		return Seen{}, fmt.Errorf("watching: %s", strings.Join(raw.Errors, "; "))
	}
	var s Seen
	for _, p := range raw.Pictures {
		s.Pictures = append(s.Pictures, experience.Picture{At: fromPage(p[0]), Width: int(p[1]), Height: int(p[2]), Light: int(math.Round(p[3])), Motion: p[4]})
	}
	for _, a := range raw.Sounds {
		s.Sounds = append(s.Sounds, experience.Sound{At: fromPage(a[0]), Length: time.Duration(a[1] * float64(time.Second)), RMS: a[2], Tone: a[3]})
	}
	for _, x := range raw.Stats {
		x.Stats.At = fromPage(x.At)
		s.Stats = append(s.Stats, x.Stats)
	}
	return s, nil
}

// Flashed are the times at which the camera of a browser with Flash has flashed, and its microphone beeped.
func (b *Browser) Flashed() (at []time.Time, err error) {
	var ms []float64
	if err := b.Eval("window.flashes ?? []", &ms); err != nil {
		return nil, err
	}
	for _, t := range ms {
		at = append(at, fromPage(t))
	}
	return at, nil
}

// fromPage makes a time of a page's milliseconds since 1970.
func fromPage(ms float64) time.Time { return time.UnixMicro(int64(ms * 1000)) }
