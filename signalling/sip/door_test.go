package sip

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"rendezvous/conference"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// deadline is how long a test waits for something that should take a moment.
const deadline = 40 * time.Second

// testLog shows the door's log when SIP_TEST_LOG is set.
func testLog() *slog.Logger {
	if os.Getenv("SIP_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// bench is a door with rooms to call.
type bench struct {
	*Door
	host *conference.Host
	reg  *prometheus.Registry
}

// open opens a door on free loopback ports; change adapts its configuration.
func open(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	log := testLog()
	host, err := conference.NewHost(conference.Config{Log: log, Rooms: []conference.RoomConfig{
		{ID: "demo", DefaultRole: moderation.Speaker, SelfUnmute: true,
			Roles: map[string]moderation.Role{"sip:alice@example.test": moderation.Moderator}},
		{ID: "42", DefaultRole: moderation.Speaker},
		{ID: "secret", PIN: "1234", ModeratorPIN: "9876", DefaultRole: moderation.Speaker},
		{ID: "lobby", Lobby: true, ModeratorPIN: "5555", DefaultRole: moderation.Speaker},
		{ID: "tiny", MaxParticipants: 1, DefaultRole: moderation.Speaker},
	}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Log, cfg.Host = log, host
	cfg.UDP, cfg.TCP, cfg.TLS = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.DataDir = t.TempDir()
	cfg.MinPort, cfg.MaxPort = 0, 0
	cfg.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	reg := prometheus.NewRegistry()
	cfg.Registerer = reg
	cfg.LegMetrics = leg.NewMetrics(nil)
	if change != nil {
		change(&cfg)
	}
	d, err := New(cfg)
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
	return &bench{Door: d, host: host, reg: reg}
}

// count reads a metric: the sum over all series whose labels contain the given values.
func (b *bench) count(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := b.reg.Gather()
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

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for !holds() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// participants are the names of those in a room.
func (b *bench) participants(t *testing.T, room string) []string {
	t.Helper()
	r, err := b.host.Room(room)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range r.Info().Participants {
		names = append(names, p.Name)
	}
	return names
}

func TestAddresses(t *testing.T) {
	b := open(t, func(c *Config) { c.Domains = []string{"meet.example.org"} })
	got := strings.Join(b.Addresses("demo"), " ")
	if !strings.Contains(got, "sip:demo@meet.example.org:") || !strings.Contains(got, "sips:demo@meet.example.org:") {
		t.Errorf("addresses of demo are %q", got)
	}
	if b.Addresses("nowhere") != nil {
		t.Error("a room that does not exist has an address")
	}
}
