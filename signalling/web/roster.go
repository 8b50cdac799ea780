package web

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"image"
	"math"
	"slices"
	"sync"
	"time"

	"rendezvous/conference"
	"rendezvous/mixer/leg"
)

// A room of a thousand changes all the time; each page is told only what has changed since it was told last. Every
// participant is encoded once per change and every difference once, however many pages get it.

// keptVersions is of how many former states of a room the difference is made: of what was told in a second or more, and of what those
// saw who came meanwhile. A page that is behind by more is told all: neither what is kept nor what is made at a change grows with
// those who are slow.
const keptVersions = 16

// snapshot is an Info in pieces that can be compared. It is never written after it is made.
type snapshot struct {
	version uint64            // no other of the door has the same, so it tells the audience too
	head    []byte            // everything but the participants
	ids     []string          // in order of arrival
	parts   map[string]person // by id
}

// person is a participant as pages are told of them.
type person struct {
	encoded []byte
	lasting []byte // the same without the talk time: if only that has changed, nothing is told
}

// infoMessage is a snapshot, or the difference to a former one.
type infoMessage struct {
	Type  string            `json:"type"`
	Whole bool              `json:"whole,omitempty"` // forget what was told before
	Head  json.RawMessage   `json:"head,omitempty"`  // not there: as it was
	Set   []json.RawMessage `json:"set,omitempty"`   // participants new or changed
	Gone  []string          `json:"gone,omitempty"`  // ids
}

type infoHead struct {
	*conference.Info
	Serial       any `json:"serial,omitempty"`       // shadows Info's: no page needs it
	Participants any `json:"participants,omitempty"` // shadows Info's
}

// infoPerson is what of a participant is for pages. A thousand are told of each other, so what is so for nearly all of them is
// left out, and the page fills it in (page/static/roster.js).
type infoPerson struct {
	ID         string       `json:"id"`
	Name       string       `json:"name"`
	Door       string       `json:"door,omitempty"`       // usualDoor is left out
	Connection string       `json:"connection,omitempty"` // of that door, usualConnection is left out
	Address    string       `json:"address,omitempty"`
	Role       string       `json:"role,omitempty"` // usualRole is left out
	Waiting    bool         `json:"waiting,omitempty"`
	Muted      bool         `json:"muted,omitempty"`
	SelfMuted  bool         `json:"selfMuted,omitempty"`
	Talking    bool         `json:"talking,omitempty"`
	Hand       *time.Time   `json:"hand,omitempty"`
	Floor      bool         `json:"floor,omitempty"`
	TalkTime   float64      `json:"talkTime,omitempty"` // to a tenth of a second
	Recording  bool         `json:"recording,omitempty"`
	Streams    []infoStream `json:"streams,omitempty"` // usualStream alone is left out
	Network    leg.Class    `json:"network,omitempty"`
}

type infoStream struct {
	Label  string          `json:"label"`
	Rect   image.Rectangle `json:"rect,omitzero"`
	Active bool            `json:"active,omitempty"`
	Video  bool            `json:"video,omitempty"`
	Muted  bool            `json:"muted,omitempty"`
}

// What is so for nearly all: people with browsers, of whom no picture is shown.
const (
	usualDoor       = "web"
	usualConnection = "WebRTC"
	usualRole       = "speaker"
	usualStream     = "main"
)

// rosters keeps each room's newest snapshots and the differences to the last one.
type rosters struct {
	mu       sync.Mutex // guards what follows, and all that is reached by it
	rooms    map[audience]*roster
	versions uint64        // that there have been, of all rooms
	deflater *flate.Writer // nil: not used yet; it takes a megabyte, so that there is one for all
}

// packLeast is from what length on, in bytes, messages are packed: below, it does not pay.
const packLeast = 256

// encoding is a message as all pages get it, in one of two forms.
type encoding struct {
	text   []byte // JSON
	packed []byte // the same, deflated (RFC 1951); nil: not yet
}

// audience are those in a room who are told the same: those who run the meeting are told callers' numbers too.
type audience struct {
	room  string
	leads bool
}

type roster struct {
	leads  bool
	info   *conference.Info // that newest was made of
	newest *snapshot
	former []*snapshot          // at most keptVersions, the oldest first
	whole  *encoding            // tells newest to who knows nothing; nil: not made yet
	diffs  map[uint64]*encoding // lead to newest, by the version that they lead from; nil: nothing to tell
}

func newRosters() *rosters { return &rosters{rooms: make(map[audience]*roster)} }

// update returns the message that brings a page from a version (0: it knows nothing; one that is too old, or another
// audience's, counts as that) to info, and info's version; leads says for whom. The message is nil if nothing has changed.
func (rs *rosters) update(from uint64, info *conference.Info, leads bool) (*encoding, uint64) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	to := audience{info.Room, leads}
	r := rs.rooms[to]
	if r == nil {
		r = &roster{leads: leads}
		rs.rooms[to] = r
	}
	// One that is older than what another page's goroutine brought is not needed any more.
	if r.info == nil || r.info.Serial < info.Serial || r.info != info && r.info.Serial == info.Serial {
		rs.versions++
		r.advance(info, rs.versions)
	}
	return r.message(from), r.newest.version
}

func (r *roster) advance(info *conference.Info, version uint64) {
	to := newSnapshot(info, version, r.newest, r.leads)
	if r.newest != nil {
		if len(r.former) == keptVersions {
			r.former = slices.Delete(r.former, 0, 1)
		}
		r.former = append(r.former, r.newest)
	}
	r.info, r.newest, r.whole, r.diffs = info, to, nil, make(map[uint64]*encoding)
}

// message leads from a version to the newest.
func (r *roster) message(from uint64) *encoding {
	if from == r.newest.version {
		return nil
	}
	for _, f := range r.former {
		if f.version != from {
			continue
		}
		m, ok := r.diffs[from]
		if !ok {
			m = r.difference(f)
			r.diffs[from] = m
		}
		return m
	}
	if r.whole == nil {
		m := infoMessage{Type: "info", Whole: true, Head: r.newest.head}
		for _, id := range r.newest.ids {
			m.Set = append(m.Set, r.newest.parts[id].encoded)
		}
		r.whole = &encoding{text: mustJSON(m)}
	}
	return r.whole
}

// difference encodes the message that leads from a former snapshot to the newest; nil: there is none.
func (r *roster) difference(from *snapshot) *encoding {
	to := r.newest
	if !sameOrder(from, to) {
		return r.message(0)
	}
	m := infoMessage{Type: "info"}
	if !bytes.Equal(from.head, to.head) {
		m.Head = to.head
	}
	for _, id := range to.ids {
		if old, now := from.parts[id], to.parts[id]; !bytes.Equal(old.lasting, now.lasting) {
			m.Set = append(m.Set, now.encoded)
		}
	}
	for _, id := range from.ids {
		if _, ok := to.parts[id]; !ok {
			m.Gone = append(m.Gone, id)
		}
	}
	if m.Head == nil && m.Set == nil && m.Gone == nil {
		return nil
	}
	return &encoding{text: mustJSON(m)}
}

// pack returns a message's packed form; nil if it is too short for that.
func (rs *rosters) pack(m *encoding) []byte {
	if len(m.text) < packLeast {
		return nil
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if m.packed != nil {
		return m.packed
	}
	var b bytes.Buffer
	if rs.deflater == nil {
		rs.deflater, _ = flate.NewWriter(&b, flate.DefaultCompression) // fails for levels that there are not
	}
	rs.deflater.Reset(&b)
	_, _ = rs.deflater.Write(m.text) // a Buffer takes all
	_ = rs.deflater.Close()
	m.packed = b.Bytes()
	return m.packed
}

// forget drops a room nobody is in any more.
func (rs *rosters) forget(room string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.rooms, audience{room, false})
	delete(rs.rooms, audience{room, true})
}

func newSnapshot(info *conference.Info, version uint64, before *snapshot, leads bool) *snapshot {
	n := len(info.Participants)
	s := &snapshot{version: version, head: mustJSON(infoHead{Info: info}), ids: make([]string, 0, n), parts: make(map[string]person, n)}
	for i := range info.Participants {
		told := toldOf(&info.Participants[i], leads)
		talkTime := told.TalkTime
		told.TalkTime = 0
		p := person{lasting: mustJSON(told)}
		if before != nil {
			if old := before.parts[told.ID].lasting; bytes.Equal(old, p.lasting) {
				p.lasting = old
			}
		}
		p.encoded = p.lasting
		if talkTime > 0 {
			told.TalkTime = talkTime
			p.encoded = mustJSON(told)
		}
		s.ids = append(s.ids, told.ID)
		s.parts[told.ID] = p
	}
	return s
}

// toldOf is what pages are told of a participant.
func toldOf(p *conference.Participant, leads bool) infoPerson {
	t := infoPerson{
		ID: p.ID, Name: p.Name, Door: p.Door, Connection: p.Connection, Address: p.Address, Role: p.Role.String(),
		Waiting: p.Waiting, Muted: p.Muted, SelfMuted: p.SelfMuted, Talking: p.Talking, Hand: p.Hand, Floor: p.Floor,
		TalkTime: math.Round(10*p.TalkTime) / 10, Recording: p.Recording, Network: p.Network,
	}
	if t.Door == usualDoor {
		t.Door = ""
		if t.Connection == usualConnection {
			t.Connection = ""
		}
	}
	if t.Role == usualRole {
		t.Role = ""
	}
	if p.Address == p.Door || !leads && p.Door == "sip" {
		t.Address = "" // it says nothing; or is a telephone number, which is not everybody's
	}
	if len(p.Streams) == 1 && p.Streams[0] == (conference.Stream{Label: usualStream}) {
		return t
	}
	for _, s := range p.Streams {
		t.Streams = append(t.Streams, infoStream(s))
	}
	return t
}

// sameOrder reports whether a page that removes who has gone and appends who is new
// ends up with the right order.
func sameOrder(from, to *snapshot) bool {
	i := 0
	for _, id := range from.ids {
		if _, ok := to.parts[id]; !ok {
			continue
		}
		if i >= len(to.ids) || to.ids[i] != id {
			return false
		}
		i++
	}
	return true
}

// mustJSON encodes values of our own types, none of which can fail to encode.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("web: " + err.Error())
	}
	return b
}
