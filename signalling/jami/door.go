package jami

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/conference"
	"rendezvous/dht"
	"rendezvous/internal/prompts"
	"rendezvous/internal/tracing"
	"rendezvous/mixer/leg"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/call"
	"rendezvous/signalling/jami/connection"
	"rendezvous/signalling/jami/connection/icetcp"
	"rendezvous/signalling/jami/connection/portmap"
	"rendezvous/signalling/jami/roomlog"
	"rendezvous/swarm"
)

// Config says which rooms are on the Jami network, and by what ways they are reached.
type Config struct {
	Log        *slog.Logger
	Host       *conference.Host
	LegMetrics *leg.Metrics
	Metrics    prometheus.Registerer // nil: nothing is registered
	Tracer     *tracing.Tracer       // of calls' set-ups; nil: nothing is traced

	Dir       string   // data folder of the accounts
	Bootstrap []string // DHT nodes, host:port
	DHTPort   int      // UDP; 0 lets the system choose
	TCPPort   int      // for connections of devices; 0 lets the system choose
	ICE       call.ICE
	STUN      []string      // host:port, for the connections' own addresses
	TURN      []icetcp.TURN // relays for devices that cannot be reached directly
	H265      bool          // takes pictures in H.265 from who offers nothing else
	UPnP      bool          // asks the router to let connections in (UPnP, NAT-PMP)
	PublicIPs []string

	// Policy says who may call a room; nil: everybody.
	Policy func(room string) account.Policy
	// Picture is a room's picture, PNG or JPEG, for its callers; nil: none has one.
	Picture func(room string) []byte
	// Conversation says how the room keeps its conversation; ok is false for a room that has
	// none. nil: none has one. It is asked when the room's account is opened.
	Conversation func(room string) (p roomlog.Policy, ok bool)
	// OpenFile opens the files of recordings, in the clear, for members of the conversation, by the keys that they were archived
	// with (swarm.Config.OpenFile); nil: there are none.
	OpenFile func(key string) (io.ReadSeekCloser, error)
	// KeyBits is the size of new keys; 0 is Jami's 4096.
	KeyBits int
	// Opened is told of rooms whose accounts were opened after Start: with new keys, when what had kept them from it is
	// mended, or because that took long. nil: nobody is.
	Opened func(room string)
}

// Door is the conference.Door named "jami".
type Door struct {
	cfg      Config
	log      *slog.Logger
	node     *dht.Node
	listener *icetcp.Listener
	gatherer connection.Gatherer
	words    *prompts.Set    // that callers are spoken to with
	mapper   *portmap.Mapper // nil unless routers are asked
	metrics  *connection.Metrics

	callMetrics  *call.Metrics
	swarmMetrics *swarm.Metrics
	logMetrics   *roomlog.Metrics

	ctx    context.Context
	cancel context.CancelFunc

	makeKeys func(ctx context.Context, dir string, bits int) error // account.MakeKeys; replaced in tests

	opener sync.WaitGroup     // opens the accounts
	hurry  context.CancelFunc // ends it
	more   chan struct{}      // one token: Sync has left some

	patience time.Duration // of Start with accounts that there are: openPatience; another one in tests
	late     atomic.Bool   // Start has returned, or is about to

	// books are the room logs by room: apart from rooms, as they are told of events with rooms' locks held.
	books sync.Map
	early early

	mu       sync.Mutex // guards what follows, to syncing
	rooms    map[string]*roomAccount
	opened   chan struct{}    // closed, and replaced, when one more account is open
	lacks    map[string]error // why a room has no account, or no conversation
	draining bool
	closed   bool
	syncing  sync.Mutex // held while accounts are opened and closed
}

// New returns a door that is not open yet. It fails without a host or a data folder, and if the prompts that callers are
// spoken to with cannot be read.
func New(cfg Config) (*Door, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Host == nil || cfg.Dir == "" {
		return nil, errors.New("jami: host and data folder are required")
	}
	words, err := prompts.English()
	if err != nil {
		return nil, fmt.Errorf("jami: %w", err)
	}
	d := &Door{cfg: cfg, log: cfg.Log.With("door", "jami"), words: words, makeKeys: account.MakeKeys, patience: openPatience, more: make(chan struct{}, 1),
		rooms: make(map[string]*roomAccount), opened: make(chan struct{}), lacks: make(map[string]error)}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.hurry = func() {} // nothing is being opened yet
	d.hold()
	return d, nil
}

// Name is "jami", as in conference.Caller.Door.
func (d *Door) Name() string { return "jami" }

// Start joins the DHT and opens the accounts that there are; for those that take long, as with many long conversations, it does not
// wait longer than three seconds. New ones, whose keys take seconds of CPU each, are made afterwards, in
// the order of rooms (BeingMade), as is what the network is slow to do. A room whose account cannot be opened keeps nobody from the others, nor
// from meeting in it through other doors: Degraded tells.
func (d *Door) Start(ctx context.Context) error {
	var err error
	if d.metrics, err = connection.NewMetrics(d.cfg.Metrics); err != nil {
		return fmt.Errorf("jami: %w", err)
	}
	if d.callMetrics, err = call.NewMetrics(d.cfg.Metrics); err != nil {
		return fmt.Errorf("jami: %w", err)
	}
	if d.swarmMetrics, err = swarm.NewMetrics(d.cfg.Metrics); err != nil {
		return fmt.Errorf("jami: %w", err)
	}
	if d.logMetrics, err = roomlog.NewMetrics(d.cfg.Metrics); err != nil {
		return fmt.Errorf("jami: %w", err)
	}
	d.node, err = dht.New(dht.Config{
		IPv4:      fmt.Sprintf("0.0.0.0:%d", d.cfg.DHTPort),
		IPv6:      dhtIPv6(d.cfg.DHTPort),
		Bootstrap: d.cfg.Bootstrap,
		StateFile: filepath.Join(d.cfg.Dir, "dht-state"),
		Logger:    d.log, Metrics: d.cfg.Metrics,
	})
	if err != nil {
		return fmt.Errorf("jami: %w", err)
	}
	if err := d.node.Start(d.ctx); err != nil {
		return fmt.Errorf("jami: %w", err)
	}
	if d.listener, err = icetcp.Listen(fmt.Sprintf(":%d", d.cfg.TCPPort), nil); err != nil {
		return fmt.Errorf("jami: %w", err)
	}
	if err := d.gather(); err != nil {
		return err
	}
	opening, hurry := context.WithCancel(d.ctx)
	d.hurry = hurry
	opened := make(chan struct{})
	d.opener.Go(func() {
		d.Sync(opening)
		close(opened)
		d.openRest(opening)
	})
	late := time.NewTimer(d.patience)
	defer late.Stop()
	select {
	case <-opened:
	case <-late.C:
		d.log.Info("opening Jami accounts takes longer, and goes on while the host is ready")
	}
	d.late.Store(true)
	d.cfg.Host.AddDialer(d)
	return nil
}

// gather says how the addresses are found that devices are told.
func (d *Door) gather() error {
	g := &icetcp.Gatherer{Listener: d.listener, STUN: d.cfg.STUN, TURN: d.cfg.TURN, Logger: d.log, Reported: d.reported}
	for _, s := range d.cfg.PublicIPs {
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return fmt.Errorf("jami: public address: %w", err)
		}
		g.External = append(g.External, netip.AddrPortFrom(ip, d.listener.Port()))
	}
	if d.cfg.UPnP {
		d.mapper = portmap.New(portmap.Config{Port: d.listener.Port(), Logger: d.log})
		d.mapper.Start(d.ctx)
		g.Mapper = d.mapper
	}
	d.gatherer = g
	return nil
}

// reported are our addresses as nodes of the DHT see us.
func (d *Door) reported(ctx context.Context) []netip.Addr {
	stats, err := d.node.Stats(ctx)
	if err != nil {
		return nil // the node is closing
	}
	return stats.Reported
}

// dhtIPv6 is the address for IPv6, empty on a machine that has none.
func dhtIPv6(port int) string {
	conn, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		return ""
	}
	_ = conn.Close()
	return fmt.Sprintf("[::]:%d", port)
}

// Sync closes the accounts of rooms that are gone, and opens those of rooms that are new, or has them opened soon if they
// need keys. The others take over the rooms' titles, pictures and policies as they are now. When ctx ends, what is not being opened yet
// is left closed.
func (d *Door) Sync(ctx context.Context) {
	d.syncing.Lock()
	defer d.syncing.Unlock()
	wanted := make(map[string]bool)
	var opening sync.WaitGroup
	for _, r := range d.cfg.Host.Rooms() {
		wanted[r.ID()] = true
		if a := d.room(r.ID()); a != nil {
			a.account.SetProfile(r.Title(), d.picture(r.ID()))
			if d.cfg.Policy != nil {
				if err := a.account.SetPolicy(d.cfg.Policy(r.ID())); err != nil {
					d.log.Error("the room's policy is as before", "room", r.ID(), "error", err)
				}
			}
			continue
		}
		if !account.IsNew(d.dir(r.ID())) {
			opening.Go(func() {
				defer d.early.end(r.ID())
				if ctx.Err() == nil && d.tryOpen(r) && d.late.Load() && d.cfg.Opened != nil {
					d.cfg.Opened(r.ID())
				}
			})
		}
	}
	opening.Wait()
	d.early.endAll()
	var gone []*roomAccount
	d.mu.Lock()
	for id, a := range d.rooms {
		if !wanted[id] {
			gone = append(gone, a)
			delete(d.rooms, id)
		}
	}
	for id := range d.lacks {
		if !wanted[id] {
			delete(d.lacks, id)
		}
	}
	d.mu.Unlock()
	for _, a := range gone {
		d.shut(a)
	}
	select {
	case d.more <- struct{}{}:
	default:
	}
}

func (d *Door) room(id string) *roomAccount {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rooms[id]
}

// Addresses is the room's Jami id.
func (d *Door) Addresses(room string) []string {
	if a := d.room(room); a != nil {
		return []string{a.account.ID().String()}
	}
	return nil
}

// WaitPublished returns once the room has an account, which a new one gets after Start, and can be found by others. The
// error is the context's, wrapped, or that of a DHT node that has ended.
func (d *Door) WaitPublished(ctx context.Context, room string) error {
	for {
		d.mu.Lock()
		a, opened := d.rooms[room], d.opened
		d.mu.Unlock()
		if a != nil {
			return a.account.WaitPublished(ctx)
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return fmt.Errorf("jami: no account for room %s: %w", room, ctx.Err())
		}
	}
}

// Drain refuses new calls and returns when the present ones are gone or ctx ends.
func (d *Door) Drain(ctx context.Context) {
	d.hurry()
	d.mu.Lock()
	d.draining = true
	accounts := d.all()
	d.mu.Unlock()
	for _, a := range accounts {
		a.server.Drain()
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if !slices.ContainsFunc(accounts, func(a *roomAccount) bool { return a.server.Calls() > 0 }) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// all lists the accounts; mu is held.
func (d *Door) all() []*roomAccount {
	var out []*roomAccount
	for _, a := range d.rooms {
		out = append(out, a)
	}
	return out
}

// Close hangs up, closes the accounts and leaves the DHT. The error is of closing sockets; all is closed all the same.
func (d *Door) Close() error {
	d.hurry()
	d.opener.Wait()
	d.mu.Lock()
	d.closed = true
	accounts := d.all()
	d.rooms = make(map[string]*roomAccount)
	d.mu.Unlock()
	d.syncing.Lock() // accounts that are being opened see that we close
	defer d.syncing.Unlock()
	var closing sync.WaitGroup
	for _, a := range accounts {
		closing.Go(func() { d.shut(a) })
	}
	closing.Wait()
	d.cancel()
	var errs []error
	if d.mapper != nil {
		errs = append(errs, d.mapper.Close())
	}
	if d.listener != nil {
		errs = append(errs, d.listener.Close())
	}
	if d.node != nil {
		errs = append(errs, d.node.Close())
	}
	return errors.Join(errs...)
}
