package conference

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"rendezvous/conference/audit"
	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/mixer"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newHost returns a host with rooms of which a test says only what it is about.
func newHost(t testing.TB, cfg Config, rooms ...settings.Room) *Host {
	t.Helper()
	cfg.Log = slog.New(slog.DiscardHandler)
	if cfg.Mixer.Metrics == nil {
		cfg.Mixer.Metrics = mixer.NewMetrics(prometheus.NewRegistry())
	}
	cfg.Rooms = settingstest.Rooms(rooms...)
	h, err := NewHost(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func newRoomOf(t testing.TB, rc settings.Room) *Room {
	t.Helper()
	return newHost(t, Config{}, rc).Rooms()[0]
}

// ear is a door's side of one caller: it keeps what the room tells them.
type ear struct {
	leg  *leg.Leg
	slow time.Duration // each call takes so long

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at each call
	admitted int
	infos    []*Info
	chats    []Message
	notices  []Notice
	ended    []EndReason
	late     []string // calls after Ended
}

func newEar() *ear {
	return &ear{leg: leg.New(leg.Config{}), changed: make(chan struct{})}
}

func (e *ear) hear(what string, f func()) {
	time.Sleep(e.slow)
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.ended) > 0 {
		e.late = append(e.late, what)
	}
	f()
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *ear) Admitted()       { e.hear("admitted", func() { e.admitted++ }) }
func (e *ear) Info(info *Info) { e.hear("info", func() { e.infos = append(e.infos, info) }) }
func (e *ear) Chat(m Message)  { e.hear("chat", func() { e.chats = append(e.chats, m) }) }
func (e *ear) Notice(n Notice) { e.hear("notice", func() { e.notices = append(e.notices, n) }) }
func (e *ear) Ended(r EndReason) {
	e.hear("ended", func() { e.ended = append(e.ended, r) })
	e.leg.Close()
}

// patience is how long a test waits for what must come on a loaded machine.
const patience = 20 * time.Second

// wait returns when cond, called under the ear's lock, holds.
func (e *ear) wait(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		e.mu.Lock()
		ok, changed := cond(), e.changed
		e.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func (e *ear) waitEnded(t testing.TB, want EndReason) {
	t.Helper()
	e.wait(t, "ended "+string(want), func() bool { return len(e.ended) > 0 })
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.ended) != 1 || e.ended[0] != want {
		t.Fatalf("ended with %v, want %v", e.ended, want)
	}
}

func (e *ear) waitNotice(t testing.TB, want NoticeKind) Notice {
	t.Helper()
	var got Notice
	e.wait(t, "notice "+string(want), func() bool {
		i := slices.IndexFunc(e.notices, func(n Notice) bool { return n.Kind == want })
		if i >= 0 {
			got = e.notices[i]
		}
		return i >= 0
	})
	return got
}

// waitInfo waits for an Info of which cond holds.
func (e *ear) waitInfo(t testing.TB, what string, cond func(*Info) bool) *Info {
	t.Helper()
	var got *Info
	e.wait(t, "info: "+what, func() bool {
		if n := len(e.infos); n > 0 && cond(e.infos[n-1]) {
			got = e.infos[n-1]
		}
		return got != nil
	})
	return got
}

// admit lets a caller try to join.
func admit(r *Room, c Caller) (*Member, *ear, error) {
	if c.Door == "" {
		c.Door = "web"
	}
	e := newEar()
	m, err := r.Join(context.Background(), c, e.leg, e)
	if err != nil {
		e.leg.Close()
	}
	return m, e, err
}

func join(t testing.TB, r *Room, c Caller) (*Member, *ear) {
	t.Helper()
	m, e, err := admit(r, c)
	if err != nil {
		t.Fatalf("%s: %v", c.Name, err)
	}
	return m, e
}

// joinAs joins with a role given by a credential.
func joinAs(t testing.TB, r *Room, name string, role moderation.Role) (*Member, *ear) {
	t.Helper()
	return join(t, r, proven(name, role))
}

func proven(name string, role moderation.Role) Caller {
	return Caller{Name: name, Identity: "web:" + name, Proven: true, Grant: &role}
}

// refused checks that an error is a refusal with this code.
func refused(t testing.TB, err error, want RefusalCode) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || r.Code != want || r.Text == "" {
		t.Errorf("got %v, want a refusal %q", err, want)
	}
}

// must gives an order that has to be accepted.
func must(t testing.TB, m *Member, o moderation.Order) {
	t.Helper()
	if err := m.Order(o); err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
}

// mustNot gives an order that has to be refused, with this reason unless it is "".
func mustNot(t testing.TB, m *Member, o moderation.Order, reason string) {
	t.Helper()
	err := m.Order(o)
	var r *moderation.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("%+v: got %v, want a refusal", o, err)
	}
	if reason != "" && r.Reason != reason {
		t.Fatalf("%+v: refused with %q, want %q", o, r.Reason, reason)
	}
}

// see returns a participant as the room shows them now.
func see(t testing.TB, r *Room, id string) Participant {
	t.Helper()
	for _, p := range r.Info().Participants {
		if p.ID == id {
			return p
		}
	}
	t.Fatalf("%s is not shown", id)
	return Participant{}
}

// memoryStore keeps what a Host saves.
type memoryStore struct {
	mu    sync.Mutex
	rooms []settings.Room
	bans  []Ban
	err   error
}

func (s *memoryStore) LoadRooms() ([]settings.Room, error) { return s.rooms, s.err }
func (s *memoryStore) LoadBans() ([]Ban, error)            { return s.bans, s.err }
func (s *memoryStore) SaveRooms(rooms []settings.Room) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.rooms = rooms
	}
	return s.err
}
func (s *memoryStore) SaveBans(bans []Ban) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.bans = bans
	}
	return s.err
}

// fail has the disk refuse what is saved, or take it again.
func (s *memoryStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// auditSink keeps what is written to the audit log.
type auditSink struct {
	mu      sync.Mutex
	entries []audit.Entry
	synced  int // entries
}

func (s *auditSink) Sync() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.synced = len(s.entries)
}

func (s *auditSink) Write(e audit.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = append(s.entries, e)
}

func name(i int) string { return fmt.Sprintf("p%03d", i) }
