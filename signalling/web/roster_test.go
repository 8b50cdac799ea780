package web

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"image"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rendezvous/conference"
	"rendezvous/moderation"
)

// viewer is a page as far as its list of people goes.
type viewer struct {
	told   uint64
	head   map[string]any
	people map[string]string // as JSON
	order  []string
}

func (v *viewer) take(t *testing.T, e *encoding) (whole bool) {
	t.Helper()
	var m infoMessage
	if err := json.Unmarshal(e.text, &m); err != nil {
		t.Fatal(err)
	}
	if m.Whole {
		v.people, v.order = map[string]string{}, nil
	}
	if m.Head != nil {
		v.head = nil
		if err := json.Unmarshal(m.Head, &v.head); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range m.Gone {
		delete(v.people, id)
		v.order = slices.DeleteFunc(v.order, func(o string) bool { return o == id })
	}
	for _, p := range m.Set {
		var id struct{ ID string }
		if err := json.Unmarshal(p, &id); err != nil {
			t.Fatal(err)
		}
		if v.people[id.ID] == "" {
			v.order = append(v.order, id.ID)
		}
		v.people[id.ID] = string(p)
	}
	return m.Whole
}

// A page that applies the differences has, at any time, what the room has.
func TestDifferencesAddUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	rs := newRosters()
	viewers := make([]viewer, 5)
	var people []conference.Participant
	next, locked := 0, false
	for serial := uint64(1); serial < 1000; serial++ {
		switch {
		case len(people) == 0 || rng.IntN(3) == 0:
			next++
			people = append(people, conference.Participant{ID: fmt.Sprint("p", next), Name: "N", Role: moderation.Speaker,
				Streams: []conference.Stream{{Label: "main"}}})
		case rng.IntN(3) == 0:
			i := rng.IntN(len(people))
			people = append(people[:i:i], people[i+1:]...)
		case rng.IntN(10) == 0:
			rng.Shuffle(len(people), reflect.Swapper(people))
		case rng.IntN(10) == 0:
			locked = !locked
		case rng.IntN(3) == 0:
			streams := []conference.Stream{{Label: "main", Rect: image.Rect(0, 0, rng.IntN(3), 1)}}
			people[rng.IntN(len(people))].Streams = streams[:rng.IntN(2)]
		default:
			people[rng.IntN(len(people))].Muted = rng.IntN(2) == 0
		}
		for i := range people {
			people[i].Level = uint8(rng.IntN(128)) // which no page is told
		}
		info := &conference.Info{Room: "lab", Serial: serial, Locked: locked, Participants: slices.Clone(people)}
		if rng.IntN(100) == 0 {
			info.Room = "elsewhere"
		}
		leads := rng.IntN(50) == 0
		for i := range viewers {
			v := &viewers[i]
			if rng.IntN(1+i*3) > 0 && serial < 999 {
				continue // this one is told later, the last one much later
			}
			if rng.IntN(50) == 0 {
				v.told = 0 // came back on a new WebSocket
			}
			var b *encoding
			if b, v.told = rs.update(v.told, info, leads); b != nil {
				v.take(t, b)
			}
			if len(v.order) != len(people) || v.head["locked"] != locked || v.head["room"] != info.Room {
				t.Fatalf("serial %d: %d people, want %d; %v", serial, len(v.order), len(people), v.head)
			}
			for j := range people {
				if want := string(mustJSON(toldOf(&people[j], leads))); v.order[j] != people[j].ID || v.people[people[j].ID] != want {
					t.Fatalf("serial %d: place %d is %s, want %s", serial, j, v.people[v.order[j]], want)
				}
			}
		}
	}
}

// Who is behind by more than a few changes is told all, by the same bytes as everybody else who is.
func TestWhoIsFarBehindIsToldAll(t *testing.T) {
	rs := newRosters()
	var slow viewer
	info := func(serial int) *conference.Info {
		return &conference.Info{Room: "lab", Serial: uint64(serial), Participants: []conference.Participant{{ID: "a", Name: fmt.Sprint(serial)}, {ID: "b"}}}
	}
	var b *encoding
	b, slow.told = rs.update(0, info(1), false)
	if !slow.take(t, b) {
		t.Fatal("a newcomer is not told all")
	}
	told := slow.told
	for n := 2; n <= keptVersions+1; n++ {
		b, _ = rs.update(told, info(n), false)
		if slow.take(t, b) {
			t.Fatalf("behind by %d, all was told again", n-1)
		}
	}
	last := info(keptVersions + 2)
	b, _ = rs.update(told, last, false)
	again, _ := rs.update(0, last, false)
	if !slow.take(t, b) || b != again {
		t.Error("not all was told, or was encoded for each who is behind")
	}
	if r := rs.rooms[audience{"lab", false}]; len(r.former) != keptVersions || len(r.diffs) > keptVersions {
		t.Errorf("%d snapshots and %d differences are kept", len(r.former), len(r.diffs))
	}
}

// Packed once for all, a message is the same.
func TestPacked(t *testing.T) {
	rs := newRosters()
	if p := rs.pack(&encoding{text: make([]byte, packLeast-1)}); p != nil {
		t.Errorf("a short message becomes %d bytes", len(p))
	}
	for i := range 3 {
		m := &encoding{text: bytes.Repeat([]byte{'a', byte(i)}, 1000)}
		p := rs.pack(m)
		text, err := io.ReadAll(flate.NewReader(bytes.NewReader(p)))
		if err != nil || !bytes.Equal(text, m.text) || len(p) > 100 {
			t.Errorf("%d bytes are unpacked to %d: %v", len(p), len(text), err)
		}
		if again := rs.pack(m); &again[0] != &p[0] {
			t.Error("packed twice")
		}
	}
}

// Talk times and levels change all the time; pages are told of them when something else has changed.
func TestTalkTimeAloneIsNotTold(t *testing.T) {
	rs := newRosters()
	p := conference.Participant{ID: "a", Talking: true, TalkTime: 1}
	info := func(serial uint64) *conference.Info {
		return &conference.Info{Room: "lab", Serial: serial, Participants: []conference.Participant{p}}
	}
	_, told := rs.update(0, info(1), false)
	p.TalkTime, p.Level = 2.34, 20
	b, told := rs.update(told, info(2), false)
	if b != nil {
		t.Errorf("told %s", b.text)
	}
	p.Talking = false
	if b, _ = rs.update(told, info(3), false); !strings.Contains(string(b.text), `"talkTime":2.3`) {
		t.Errorf("told %s", b.text)
	}
}

// Those who run the meeting are told callers' numbers, and others are not; whoever becomes a moderator is told all.
func TestNumbersAreTheModerators(t *testing.T) {
	rs := newRosters()
	info := &conference.Info{Room: "lab", Serial: 1, Participants: []conference.Participant{
		{ID: "p1", Name: "+49…456", Door: "sip", Address: "sip:+4930123456@example.org"}, {ID: "p2", Name: "Ann", Door: "jami", Address: "jami:ab"}}}
	for range 2 {
		m, told := rs.update(0, info, false)
		if strings.Contains(string(m.text), "4930123456") || !strings.Contains(string(m.text), "jami:ab") {
			t.Errorf("everybody is told %s", m.text)
		}
		m, told = rs.update(told, info, true)
		if !strings.Contains(string(m.text), "4930123456") {
			t.Errorf("moderators are told %s", m.text)
		}
		if m, _ = rs.update(told, info, true); m != nil {
			t.Errorf("told twice: %s", m.text)
		}
	}
}

// What one change costs with five hundred in the room and all of them watching.
func BenchmarkRosterUpdate(b *testing.B) {
	rs := newRosters()
	people := make([]conference.Participant, 500)
	for i := range people {
		people[i] = conference.Participant{ID: fmt.Sprint("p", i), Name: fmt.Sprint("Participant ", i), Door: "web", Connection: "WebRTC", Role: moderation.Speaker}
	}
	told := make([]uint64, 500)
	var sent int
	b.ReportAllocs()
	for n := range b.N {
		people[n%500].Talking = !people[n%500].Talking
		info := &conference.Info{Room: "lab", Serial: uint64(n + 1), Participants: append([]conference.Participant(nil), people...)}
		for i := range told {
			var m *encoding
			m, told[i] = rs.update(told[i], info, false)
			if packed := rs.pack(m); packed != nil {
				sent += len(packed)
			} else {
				sent += len(m.text)
			}
		}
	}
	b.ReportMetric(float64(sent)/float64(b.N)/500, "bytes/page")
}
