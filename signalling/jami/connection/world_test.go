package connection

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"rendezvous/dht"
	"rendezvous/dht/identity"
	"rendezvous/dht/identity/identitytest"
	"rendezvous/dht/value"
	"rendezvous/internal/eventually"
	"rendezvous/signalling/jami/connection/icetcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const long = 30 * time.Second

// world stands for the DHT between the endpoints of a test, so that a test can
// put what no honest node would let through, and as often as it likes. Values
// are really encrypted and signed. The tests of package account run on nodes.
type world struct {
	mu        sync.Mutex
	certs     map[value.LongID]identity.Chain
	values    map[dht.Key][]*dht.Value
	listeners map[dht.Key][]*listening
	readers   map[dht.Key]*identity.Identity // who listens at a key
}

type listening struct {
	ctx context.Context
	ch  chan dht.Event
}

func newWorld() *world {
	return &world{
		certs:     map[value.LongID]identity.Chain{},
		values:    map[dht.Key][]*dht.Value{},
		listeners: map[dht.Key][]*listening{},
		readers:   map[dht.Key]*identity.Identity{},
	}
}

// Listen decrypts for the identity that the test registered for the key, as
// the option does at a real node.
func (w *world) Listen(ctx context.Context, key dht.Key, _ ...dht.Option) (<-chan dht.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &listening{ctx, make(chan dht.Event, 1024)}
	w.listeners[key] = append(w.listeners[key], l)
	for _, v := range w.values[key] {
		l.ch <- dht.Event{Value: v}
	}
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, o := range w.listeners[key] {
			if o == l {
				w.listeners[key] = append(w.listeners[key][:i:i], w.listeners[key][i+1:]...)
			}
		}
		close(l.ch)
	})
	return l.ch, nil
}

func (w *world) PutEncrypted(_ context.Context, from *identity.Identity, to *value.PublicKey, key dht.Key, v *dht.Value) error {
	sealed, err := from.Encrypt(v, to)
	if err != nil {
		return err
	}
	w.mu.Lock()
	reader := w.readers[key]
	w.mu.Unlock()
	if reader == nil {
		return nil
	}
	open, err := reader.Decrypt(sealed)
	if err != nil {
		return nil // not for them: a node drops it
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.values[key] = append(w.values[key], open)
	for _, l := range w.listeners[key] {
		if l.ctx.Err() == nil {
			l.ch <- dht.Event{Value: open}
		}
	}
	return nil
}

func (w *world) FindCertificate(_ context.Context, id identity.KeyIDs) (identity.Chain, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.certs {
		if id.Match(c.Leaf()) {
			return c, nil
		}
	}
	return nil, dht.ErrNotFound
}

// again delivers everything at a key once more, as nodes do.
func (w *world) again(key dht.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.values[key] {
		for _, l := range w.listeners[key] {
			l.ch <- dht.Event{Value: v}
		}
	}
}

var accounts = identitytest.Accounts(3)

// party is one endpoint and what it counts.
type party struct {
	*Endpoint
	account *identity.Account
	reg     *prometheus.Registry
}

func (w *world) join(t testing.TB, acc *identity.Account, change func(*Config)) *party {
	t.Helper()
	reg := prometheus.NewRegistry()
	m, err := NewMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := icetcp.Listen("127.0.0.1:0", m.refuse)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Identity:      acc.Device,
		DHT:           w,
		Listener:      l,
		Gatherer:      &icetcp.Gatherer{Listener: l, Hosts: []netip.Addr{netip.MustParseAddr("127.0.0.1")}},
		AllowLoopback: true,
		Metrics:       m,
	}
	if os.Getenv("VERBOSE") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	leaf := acc.Device.Chain.Leaf()
	w.mu.Lock()
	w.certs[leaf.LongID()] = acc.Device.Chain
	w.readers[legacy.peerKey(leaf.ID(), leaf.LongID())] = acc.Device
	w.readers[current.peerKey(leaf.ID(), leaf.LongID())] = acc.Device
	w.mu.Unlock()
	if err := e.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(); l.Close() })
	return &party{e, acc, reg}
}

func (p *party) refused(t *testing.T, reason string) int {
	t.Helper()
	var m dto.Metric
	if err := p.cfg.Metrics.refused.WithLabelValues(reason).Write(&m); err != nil {
		t.Fatal(err)
	}
	return int(m.GetCounter().GetValue())
}

func (p *party) waitRefused(t *testing.T, reason string, n int) {
	t.Helper()
	eventually.NoError(t, func() error {
		if got := p.refused(t, reason); got < n {
			return fmt.Errorf("%d are refused as %s, want %d", got, reason, n)
		}
		return nil
	})
}
