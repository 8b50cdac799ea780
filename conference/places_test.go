package conference

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

// Who sends nothing keeps nobody out of a full room for long, and who sends keeps their place.
func TestPlacesNeedMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, Config{}, settings.Room{MaxParticipants: 3})
		defer h.Close()
		r := h.Rooms()[0]
		joinAs(t, r, "mod", moderation.Moderator)
		silent, gone := join(t, r, Caller{Name: "silent", Source: "192.0.2.1"})
		time.Sleep(time.Second)
		join(t, r, Caller{Name: "newer", Source: "192.0.2.2"})
		_, _, err := admit(r, Caller{Name: "early", Source: "192.0.2.3"})
		refused(t, err, RefusedFull)
		if !r.Full() {
			t.Error("a newcomer is told that there is a place")
		}
		time.Sleep(mediaGrace - time.Second)
		if r.Full() {
			t.Error("a telephone is told that the room is full, though somebody silent would have to go")
		}
		join(t, r, Caller{Name: "late", Source: "192.0.2.3"})
		gone.waitEnded(t, EndTimeout)
		if _, err := r.Info().Find(silent.ID()); err == nil {
			t.Error("still there")
		}
		_, _, err = admit(r, Caller{Name: "another", Source: "192.0.2.4"})
		refused(t, err, RefusedFull)
	})
}

// A network that fills a room with silence has no grace.
func TestPlacesOfOneNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, Config{}, settings.Room{MaxParticipants: silentMost + 3})
		defer h.Close()
		r := h.Rooms()[0]
		_, honest := join(t, r, Caller{Name: "honest", Source: "198.51.100.1"})
		for i := range silentMost + 2 {
			join(t, r, Caller{Name: fmt.Sprint(i), Source: fmt.Sprintf("2001:db8::%x", i)})
		}
		for i := range 2 {
			join(t, r, Caller{Name: fmt.Sprint("guest", i), Source: fmt.Sprintf("198.51.100.%d", i+2)})
		}
		_, _, err := admit(r, Caller{Name: "one more", Source: "198.51.100.9"})
		refused(t, err, RefusedFull)
		if honest.outcomeNow() != "" {
			t.Error("somebody from another network had to go")
		}
	})
}
