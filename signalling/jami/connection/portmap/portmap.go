// Package portmap asks the gateway of the local network to forward a TCP port
// from outside to this host, with NAT-PMP (RFC 6886) and UPnP IGD, and keeps
// the forward alive.
package portmap

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	lease      = time.Hour        // asked of the gateway
	renewAfter = 20 * time.Minute // less than half of it
	firstRetry = 5 * time.Second  // when no gateway forwards: after a power cut they start later than we do
	lastRetry  = 2 * time.Minute  // after ever longer ones
	askTimeout = 8 * time.Second
)

// Config says what a gateway is asked for (NAT-PMP: RFC 6886; UPnP).
type Config struct {
	// Port is the TCP port here, and the one outside if the gateway grants it.
	Port uint16
	// Gateway is where NAT-PMP is spoken; the zero value is the default route's.
	Gateway netip.Addr
	Logger  *slog.Logger // nil is silent
}

// gateway is one way to ask for a forward.
type gateway interface {
	// forward makes or renews it and returns the outside address.
	forward(ctx context.Context, port uint16) (netip.AddrPort, error)
	// remove takes it back.
	remove(ctx context.Context, port uint16) error
	name() string
}

// Mapper keeps a port forwarded. It is an icetcp.PortMapper.
type Mapper struct {
	cfg    Config
	log    *slog.Logger
	ways   []gateway
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex // guards mapped
	mapped []netip.AddrPort
}

// New makes a mapper that asks the gateway for nothing before Start.
func New(cfg Config) *Mapper {
	m := &Mapper{cfg: cfg, log: cfg.Logger, ways: []gateway{&natpmp{gateway: cfg.Gateway}, &upnp{}}}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	return m
}

// Start asks in the background, now and again, until ctx ends or Close.
func (m *Mapper) Start(ctx context.Context) {
	ctx, m.cancel = context.WithCancel(ctx)
	m.wg.Go(func() { m.keep(ctx) })
}

// Close takes the forwards back and waits. A gateway that does not answer keeps them
// until they expire; the error is always nil.
func (m *Mapper) Close() error {
	if m.cancel != nil {
		m.cancel()
	}
	m.wg.Wait()
	return nil
}

// Mapped lists the outside addresses that lead to the port at present.
func (m *Mapper) Mapped() []netip.AddrPort {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mapped)
}

func (m *Mapper) keep(ctx context.Context) {
	retry := firstRetry
	for {
		now := m.ask(ctx)
		m.mu.Lock()
		if !slices.Equal(now, m.mapped) {
			m.log.Info("jami: port forwarded by the gateway", "port", m.cfg.Port, "outside", now)
		}
		m.mapped = now
		m.mu.Unlock()
		wait := renewAfter
		if len(now) == 0 {
			wait, retry = retry, min(2*retry, lastRetry)
		} else {
			retry = firstRetry
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			m.takeBack()
			return
		}
	}
}

// ask tries every way at once: a gateway may know but one of them.
func (m *Mapper) ask(ctx context.Context) []netip.AddrPort {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	found := make([]netip.AddrPort, len(m.ways))
	var wg sync.WaitGroup
	for i, w := range m.ways {
		wg.Go(func() {
			ap, err := w.forward(ctx, m.cfg.Port)
			if err != nil {
				m.log.Debug("jami: no port forwarded", "by", w.name(), "error", err)
				return
			}
			found[i] = ap
		})
	}
	wg.Wait()
	var out []netip.AddrPort
	for _, ap := range found {
		// A gateway behind another one forwards from an address that is no
		// use to anybody outside, but harmless to offer.
		if ap.IsValid() && !ap.Addr().IsUnspecified() && !slices.Contains(out, ap) {
			out = append(out, ap)
		}
	}
	return out
}

func (m *Mapper) takeBack() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for _, w := range m.ways {
		wg.Go(func() { w.remove(ctx, m.cfg.Port) }) // best effort: it expires by itself
	}
	wg.Wait()
}
