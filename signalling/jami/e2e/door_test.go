package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/internal/lab/jamilab"
	"rendezvous/mixer"
	"rendezvous/mixer/leg"
	"rendezvous/signalling/jami"
)

// hosted is a host with one room and the Jami door, in the lab's "app" namespace.
type hosted struct {
	host    *conference.Host
	door    *jami.Door
	room    *conference.Room
	id      string // of the room's account
	metrics *prometheus.Registry
	close   func()
}

// openHost starts one on a data folder, and waits until the room can be found.
func openHost(t *testing.T, ctx context.Context, dir string, changes ...func(*jami.Config)) *hosted {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	host, err := conference.NewHost(conference.Config{Log: log, Mixer: mixer.Config{},
		Rooms: settingstest.Rooms(settings.Room{ID: "lobby", Title: "The Lobby", SelfUnmute: true})})
	if err != nil {
		t.Fatal(err)
	}
	h := &hosted{host: host, metrics: prometheus.NewRegistry()}
	cfg := jami.Config{Log: log, Host: host, Dir: dir, Bootstrap: []string{jamilab.Bootstrap}, KeyBits: 2048,
		Picture:    func(string) []byte { return picture },
		LegMetrics: leg.NewMetrics(h.metrics), Metrics: h.metrics}
	for _, change := range changes {
		change(&cfg)
	}
	h.door, err = jami.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.door.Start(ctx); err != nil {
		t.Fatal(err)
	}
	h.close = sync.OnceFunc(func() {
		if err := h.door.Close(); err != nil {
			t.Error(err)
		}
		host.Close()
	})
	t.Cleanup(h.close)
	if err := h.door.WaitPublished(ctx, "lobby"); err != nil {
		t.Fatal(err)
	}
	h.id = h.door.Addresses("lobby")[0]
	if h.room, err = host.Room("lobby"); err != nil {
		t.Fatal(err)
	}
	return h
}

// value sums a counter over those of its labels that contain what is given.
func (h *hosted) value(t *testing.T, name, label string) (sum float64) {
	t.Helper()
	families, err := h.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || strings.Contains(fmt.Sprint(m.GetLabel()), label) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// packets is how many media packets have come.
func (h *hosted) packets(t *testing.T) int {
	t.Helper()
	return int(h.value(t, "rendezvous_leg_packets_received_total", ""))
}

func (h *hosted) waitPackets(t *testing.T, ctx context.Context, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for h.packets(t) < n {
		select {
		case <-ctx.Done():
			t.Errorf("%d media packets have come, want %d", h.packets(t), n)
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// waitVideo waits until pictures come, for a second's worth of packets.
func (h *hosted) waitVideo(t *testing.T, ctx context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	video := func() float64 { return h.value(t, "rendezvous_leg_packets_received_total", "video") }
	for want := video() + 30; video() < want; {
		select {
		case <-ctx.Done():
			t.Error("no pictures come")
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// openRoom is openHost on a new folder.
func openRoom(t *testing.T, ctx context.Context) (*conference.Host, *jami.Door, string) {
	t.Helper()
	h := openHost(t, ctx, t.TempDir())
	return h.host, h.door, h.id
}

// Two unmodified daemons call the room by its id and are in it together.
func TestDaemonsCallTheRoom(t *testing.T) {
	t.Parallel() // daemons mostly wait
	jamilab.Run(t, jamilab.Options{Peers: 2, Sound: true}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		_, _, id := openRoom(t, ctx)
		if err := jamilab.Accounts(ctx, l.Peers()...); err != nil {
			t.Fatal(err)
		}
		for _, p := range l.Peers() {
			began := time.Now()
			call, err := p.PlaceCall(ctx, id, jamilab.Media(nil))
			if err != nil {
				t.Fatal(err)
			}
			if err := p.WaitCall(ctx, call, "CURRENT"); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s CURRENT after %v", p.Name(), time.Since(began))
		}
		for _, p := range l.Peers() {
			_, err := p.Wait(ctx, 0, "onConferenceInfosUpdated", func(s jamilab.Signal) bool {
				return strings.Contains(s.String(), l.Peer(1).URI) && strings.Contains(s.String(), l.Peer(2).URI)
			})
			if err != nil {
				t.Errorf("%s: no conference information that names both: %v", p.Name(), err)
			}
		}
	})
}

// The room calls a daemon that answers by itself, and one that declines.
func TestRoomCallsADaemon(t *testing.T) {
	t.Parallel() // daemons mostly wait
	jamilab.Run(t, jamilab.Options{Peers: 2, Sound: true}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		host, door, _ := openRoom(t, ctx)
		if err := jamilab.Accounts(ctx, l.Peers()...); err != nil {
			t.Fatal(err)
		}
		if err := l.Peer(1).Set(ctx, map[string]string{"Account.autoAnswer": "true"}); err != nil {
			t.Fatal(err)
		}
		room, err := host.Room("lobby")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := door.Dial(ctx, room, l.Peer(1).URI); err != nil {
			t.Fatal(err)
		}
		t.Logf("answered after %v", time.Since(began))
		if n := len(room.Info().Participants); n != 1 {
			t.Errorf("%d participants in the room, want the called one", n)
		}
		if _, err := l.Peer(1).Wait(ctx, 0, "onConferenceInfosUpdated", func(s jamilab.Signal) bool {
			return strings.Contains(s.String(), l.Peer(1).URI)
		}); err != nil {
			t.Errorf("the called daemon has no conference information: %v", err)
		}
		mark := l.Peer(2).Mark()
		refused := make(chan error, 1)
		go func() { refused <- door.Dial(ctx, room, "jami:"+l.Peer(2).URI) }()
		s, err := l.Peer(2).Wait(ctx, mark, "incomingCallWithMedia", func(jamilab.Signal) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Peer(2).Call(ctx, "CallManager.refuse", []any{l.Peer(2).Account, s.Text(1)}); err != nil {
			t.Fatal(err)
		}
		if err := <-refused; err == nil {
			t.Error("a call that was refused is reported as taken")
		} else {
			t.Logf("refused: %v", err)
		}
	})
}

// A device that is announced may hear nothing, or not want to: daemons of today take nothing from
// strangers. The room is told that there is one.
func TestRoomCallsASilentDaemon(t *testing.T) {
	t.Parallel() // it mostly waits
	jamilab.Run(t, jamilab.Options{Peers: 1}, func(t *testing.T, l *jamilab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		host, door, _ := openRoom(t, ctx)
		p := l.Peer(1)
		if err := jamilab.Accounts(ctx, p); err != nil {
			t.Fatal(err)
		}
		room, err := host.Room("lobby")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Link(p.Name(), false); err != nil {
			t.Fatal(err)
		}
		if err := door.Dial(ctx, room, p.URI); err == nil || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("%v", err)
		}
	})
}
