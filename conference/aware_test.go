package conference

import (
	"context"
	"testing"
	"testing/synctest"

	"rendezvous/conference/settings"
	"rendezvous/moderation"
)

// muffled tells what the mix was told of a member: whether they are heard, and seen.
func muffled(m *Member) (sound, picture bool) {
	r := m.lock()
	defer r.mu.Unlock()
	return m.told.Silenced, m.told.HideVideo && m.told.HideScreen
}

func hushed(t *testing.T, m *Member, want bool) {
	t.Helper()
	if sound, picture := muffled(m); sound != want || picture != want {
		t.Errorf("%s: silenced %v, unseen %v; want %v", m.name, sound, picture, want)
	}
}

// told counts how often somebody was told that they are recorded, and stops that they are no longer.
func (e *ear) told() (starts, stops int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range e.notices {
		switch n.Kind {
		case NoticeRecordingStarted:
			starts++
		case NoticeRecordingStopped:
			stops++
		}
	}
	return starts, stops
}

func wantTold(t *testing.T, who string, e *ear, starts, stops int) {
	t.Helper()
	synctest.Wait()
	if a, b := e.told(); a != starts || b != stops {
		t.Errorf("%s was told %d times that the meeting is recorded and %d times that it is not any more; want %d and %d", who, a, b, starts, stops)
	}
}

var telephone = Caller{Door: "sip", Name: "phone", Identity: "sip:phone@example.org", ToldInside: true}

// Who comes into a room that is recorded, or begins to be with them, is told, and where their door says it only then they are
// neither heard nor seen before. Who is there when a recording begins is told once, and goes on being heard.
func TestNobodyIsRecordedUnawares(t *testing.T) {
	t.Run("by policy", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHost(t, Config{Recorder: &recorder{}}, settings.Room{Recording: moderation.RecordAuto})
			r := h.Rooms()[0]
			if !r.Recorded() {
				t.Error("nobody is told before that the room records by itself")
			}
			m, e := join(t, r, telephone)
			hushed(t, m, true)
			wantTold(t, "the first", e, 1, 0)
			web, page := join(t, r, Caller{Name: "page"}) // which has said it before
			hushed(t, web, false)
			wantTold(t, "the page", page, 1, 0)
			m.Informed()
			hushed(t, m, false)
			m.Informed()
			hushed(t, m, false)
			h.Close()
		})
	})
	t.Run("begun meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHost(t, Config{Recorder: &recorder{}}, settings.Room{Recording: moderation.RecordOnOrder})
			r := h.Rooms()[0]
			mod, _ := joinAs(t, r, "mod", moderation.Moderator)
			early, e := join(t, r, telephone)
			hushed(t, early, false)
			if r.Recorded() {
				t.Error("said to be recorded, and is not")
			}
			must(t, mod, record("start"))
			wantTold(t, "who was there", e, 1, 0)
			hushed(t, early, false)
			late, l := join(t, r, Caller{Door: "sip", Name: "late", ToldInside: true})
			hushed(t, late, true)
			wantTold(t, "who came later", l, 1, 0)
			must(t, mod, record("stop"))
			hushed(t, late, false) // there is nothing to be told of any more
			wantTold(t, "who came later", l, 1, 1)
			must(t, mod, record("start"))
			wantTold(t, "who was there", e, 2, 1)
			must(t, mod, record("pause"))
			paused, p := join(t, r, Caller{Door: "sip", Name: "paused", ToldInside: true})
			hushed(t, paused, false)
			wantTold(t, "who came in a pause", p, 0, 0)
			if !r.Recorded() {
				t.Error("a pause is not said to be one of a recording")
			}
			must(t, mod, record("resume"))
			wantTold(t, "who came in a pause", p, 1, 0)
			h.Close()
		})
	})
	t.Run("lobby and another room", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHost(t, Config{Recorder: &recorder{}}, settings.Room{ID: "a", Lobby: true}, settings.Room{ID: "b", Recording: moderation.RecordAlways})
			a, err := h.Room("a")
			if err != nil {
				t.Fatal(err)
			}
			mod, _ := joinAs(t, a, "mod", moderation.Moderator)
			m, e := join(t, a, telephone)
			must(t, mod, record("start"))
			wantTold(t, "who waits", e, 0, 0)
			must(t, mod, moderation.Order{Action: moderation.Admit, Target: m.ID()})
			hushed(t, m, true)
			wantTold(t, "who was let in", e, 1, 0)
			m.Informed()
			must(t, mod, moderation.Order{Action: moderation.Move, Target: m.ID(), Text: "b"})
			hushed(t, m, true)
			wantTold(t, "who was moved", e, 2, 0)
			m.Informed()
			hushed(t, m, false)
			h.Close()
		})
	})
	t.Run("a recorder that fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rec := &recorder{starts: make(chan struct{}, 1), err: context.DeadlineExceeded}
			h := newHost(t, Config{Recorder: rec}, settings.Room{Recording: moderation.RecordOnOrder})
			r := h.Rooms()[0]
			mod, _ := joinAs(t, r, "mod", moderation.Moderator)
			must(t, mod, record("start"))
			m, e := join(t, r, telephone)
			hushed(t, m, true)
			wantTold(t, "who came while it was to begin", e, 1, 0)
			rec.starts <- struct{}{}
			synctest.Wait()
			hushed(t, m, false)
			wantTold(t, "who came while it was to begin", e, 1, 1)
			h.Close()
		})
	})
	t.Run("no recorder", func(t *testing.T) {
		r := newRoomOf(t, settings.Room{Recording: moderation.RecordAlways})
		m, _ := join(t, r, telephone)
		hushed(t, m, false)
		if r.Recorded() {
			t.Error("said to be recorded, and cannot be")
		}
	})
}
