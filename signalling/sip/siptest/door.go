package siptest

import (
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/conference"
	"rendezvous/conference/settings"
	"rendezvous/conference/settings/settingstest"
	"rendezvous/internal/prompts"
	"rendezvous/mixer/leg"
	"rendezvous/signalling/sip"
)

// Deadline is how long a test waits for something that should take a moment.
const Deadline = 40 * time.Second

// Door is a door with rooms to call: "demo", where sip:alice@example.test is a moderator; "42";
// "secret" with the number 700, the PIN 1234 and the moderators' PIN 9876; "lobby" with a lobby and the moderators'
// PIN 5555; and "tiny", which has a place for one.
type Door struct {
	*sip.Door

	Host    *conference.Host
	Prompts *prompts.Set // what the door says
	Busy    *atomic.Bool // the host has too much to do

	metrics *prometheus.Registry
}

// Open opens a door on free ports of loopback, and closes it when the test is over; change, which
// may be nil, adapts its configuration. The environment variable SIP_TEST_LOG shows its log.
func Open(t testing.TB, change func(*sip.Config)) *Door {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("SIP_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	busy := new(atomic.Bool)
	host, err := conference.NewHost(conference.Config{Log: log, Admits: func() bool { return !busy.Load() }, Rooms: settingstest.Rooms(
		settings.Room{ID: "demo", SelfUnmute: true, Roles: settings.Roles{Moderator: []string{"sip:alice@example.test"}}},
		settings.Room{ID: "42"},
		settings.Room{ID: "secret", Number: "700", PIN: "1234", ModeratorPIN: "9876"},
		settings.Room{ID: "lobby", Lobby: true, ModeratorPIN: "5555"},
		settings.Room{ID: "tiny", MaxParticipants: 1},
	)})
	if err != nil {
		t.Fatal(err)
	}
	words, err := prompts.English()
	if err != nil {
		t.Fatal(err)
	}
	cfg := sip.Default()
	cfg.Log, cfg.Host, cfg.Prompts = log, host, words
	cfg.UDP, cfg.TCP, cfg.TLS = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.DataDir = t.TempDir()
	cfg.MinPort, cfg.MaxPort = 0, 0
	cfg.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	metrics := prometheus.NewRegistry()
	cfg.Registerer = metrics
	cfg.LegMetrics = leg.NewMetrics(nil)
	if change != nil {
		change(&cfg)
	}
	d, err := sip.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		host.Close()
	})
	return &Door{Door: d, Host: host, Prompts: words, Busy: busy, metrics: metrics}
}

// Count reads a metric: the sum over all series whose labels contain the given values.
func (d *Door) Count(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	families, err := d.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			for _, want := range labels {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetValue() == want
				}
				if !found {
					continue series
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// Room is one of the door's rooms.
func (d *Door) Room(t testing.TB, id string) *conference.Room {
	t.Helper()
	room, err := d.Host.Room(id)
	if err != nil {
		t.Fatal(err)
	}
	return room
}

// Participants are the names of those in a room.
func (d *Door) Participants(t testing.TB, room string) []string {
	t.Helper()
	var names []string
	for _, p := range d.Room(t, room).Info().Participants {
		names = append(names, p.Name)
	}
	return names
}
