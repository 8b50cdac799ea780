package call

import (
	"encoding/json"
	"fmt"
	"image"
	"strings"
	"testing"
	"time"

	"rendezvous/conference"
)

// A room of fifty is told of in a message that Jami devices can take, with those in it who matter.
func TestConferenceInfoOfALargeRoom(t *testing.T) {
	info := &conference.Info{Width: 1280, Height: 720}
	hand := time.Unix(1, 0)
	for i := range 50 {
		p := conference.Participant{ID: fmt.Sprintf("p%d", i), Door: "jami", Identity: fmt.Sprintf("jami:%040d", i),
			Device: fmt.Sprintf("%064d", i), Session: fmt.Sprintf("%016d", i)}
		switch {
		case i < 9: // on the canvas
			p.Streams = []conference.Stream{{Label: "main", Video: true, Rect: image.Rect(i*10, 0, i*10+160, 90)}}
		case i == 40:
			p.Hand = &hand
		}
		info.Participants = append(info.Participants, p)
	}
	b, err := ConferenceInfo(info, "p49", image.Point{})
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 6800 {
		t.Errorf("%d bytes", len(b))
	}
	var got struct{ P []confEntry }
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d entries of 50 in %d bytes", len(got.P), len(b))
	for _, want := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 40, 49} {
		found := false
		for _, e := range got.P {
			if e.URI == fmt.Sprintf("%040d@ring.dht", want) {
				found = true
				if want < 9 && (e.W != 160 || e.H != 90 || e.X != want*10) {
					t.Errorf("tile of p%d: %+v", want, e)
				}
			}
		}
		if !found {
			t.Errorf("p%d is missing", want)
		}
	}
	if len(got.P) < 25 {
		t.Errorf("only %d entries", len(got.P))
	}

	// Where all fit they are written in full, as Jami hosts do.
	b, err = ConferenceInfo(&conference.Info{Participants: info.Participants[:10]}, "p0", image.Point{})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), `"handRaised":false`); n != 10 {
		t.Errorf("%d full entries of 10: %s", n, b)
	}
}
