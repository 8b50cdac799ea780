package connection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"rendezvous/dht"
	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/internal/ratelimit"
	"rendezvous/signalling/jami/connection/icetcp"
	"rendezvous/signalling/jami/connection/mux"
)

// DHT is what an Endpoint needs of a node; *dht.Node has it, and says what the methods
// do.
type DHT interface {
	Listen(ctx context.Context, key dht.Key, opts ...dht.Option) (<-chan dht.Event, error)
	PutEncrypted(ctx context.Context, from *identity.Identity, to *value.PublicKey, key dht.Key, v *dht.Value) error
	FindCertificate(ctx context.Context, id identity.KeyIDs) (identity.Chain, error)
}

// Gatherer finds the addresses an attempt can offer; *icetcp.Gatherer is one, and says
// what Gather does.
type Gatherer interface {
	Gather(ctx context.Context) ([]icetcp.Candidate, *icetcp.Relay, error)
}

// Times and bounds.
const (
	answerTimeout    = 30 * time.Second // from the request being put to the answer
	negotiateTimeout = 30 * time.Second // from both descriptions known to the nominated connection
	lookupTimeout    = 15 * time.Second // for a certificate
	// trustSilence is how long a connection may have been silent and still be
	// used without asking first whether the peer is there.
	trustSilence = 5 * time.Second

	maxAttempts       = 64   // requests of others being answered at a time
	maxSessions       = 4096 // connections that are up
	maxSessionsDevice = 4    // of them to one device
	maxLimiters       = 4096
	maxLogged         = 1024
)

// Requests of one device: a burst, then one every other second.
const (
	requestBurst = 8
	requestRate  = rate.Limit(0.5)
)

// Reasons in the refused metric, besides those of icetcp and mux.
const (
	refusedMalformed  = "malformed_request"
	refusedReplay     = "replayed_request"
	refusedRate       = "too_many_requests"
	refusedNoCert     = "certificate_not_found"
	refusedChain      = "bad_certificate"
	refusedNotAllowed = "not_allowed"
	refusedTLS        = "tls_peer"
	refusedFull       = "too_many_sessions"
)

// Errors of OpenChannel.
var (
	ErrClosed   = errors.New("connection: endpoint closed")
	ErrNoAnswer = errors.New("connection: device does not answer")
)

// Config is what an Endpoint is made of.
type Config struct {
	// Identity is our device key and the chain exactly as published.
	Identity *identity.Identity
	DHT      DHT
	// Listener takes the TCP connections of all endpoints.
	Listener *icetcp.Listener
	Gatherer Gatherer
	// Allow decides whether a device may connect to us; its account is what
	// its certificate on the DHT says, and proven later. It is asked when the
	// request comes and again before the connection is used. nil allows all.
	Allow func(peer Peer, connType string) bool
	// SeenFile remembers handled requests over restarts; empty does not.
	SeenFile string
	// AllowLoopback lets peers offer loopback addresses; for tests.
	AllowLoopback bool
	// Now is the clock; nil is time.Now.
	Now     func() time.Time
	Logger  *slog.Logger // nil is silent
	Metrics *Metrics     // nil counts nothing
}

// Endpoint is our end of all connections of one device.
type Endpoint struct {
	cfg      Config
	log      *slog.Logger
	ids      identity.KeyIDs
	handlers handlers
	requests requestIDs

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	slots  chan struct{} // requests being answered

	mu       sync.Mutex // guards the rest
	closed   bool
	devices  map[value.LongID]*device
	sessions int
	lost     map[*session]bool           // whose peers fell silent: they wait for the goodbye to get through
	pending  map[requestKey]chan request // our requests that wait for an answer
	logged   *bounded[string, struct{}]
}

// New makes an endpoint; register handlers, then Start it. It fails without Identity,
// DHT, Listener or Gatherer.
func New(cfg Config) (*Endpoint, error) {
	if cfg.Identity == nil || cfg.DHT == nil || cfg.Listener == nil || cfg.Gatherer == nil {
		return nil, errors.New("connection: identity, DHT, listener and gatherer are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Endpoint{
		cfg:      cfg,
		log:      cfg.Logger,
		ids:      identity.IDsOf(cfg.Identity.PublicKey()),
		requests: requestIDs{now: cfg.Now},
		slots:    make(chan struct{}, maxAttempts),
		devices:  make(map[value.LongID]*device),
		lost:     make(map[*session]bool),
		pending:  make(map[requestKey]chan request),
		logged:   newBounded[string, struct{}](maxLogged),
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e, nil
}

// Device holds the ids of our own device.
func (e *Endpoint) Device() identity.KeyIDs { return e.ids }

// HandleChannel registers who takes the channels of a name that peers open:
// "sip", or every name with a prefix that ends in ":" or "/", such as
// "data-transfer://". The longest match counts; other names are declined.
func (e *Endpoint) HandleChannel(pattern string, h Handler) { e.handlers.set(pattern, h) }

// Start listens for requests, until ctx ends or Close is called.
func (e *Endpoint) Start(ctx context.Context) error {
	s, err := openSeen(e.cfg.SeenFile, e.cfg.Now())
	if err != nil {
		e.log.Warn("what was handled before cannot be kept", "error", err)
	}
	var events [2]<-chan dht.Event
	for g := range events {
		events[g], err = e.cfg.DHT.Listen(e.ctx, generation(g).peerKey(e.ids.Short, e.ids.Long),
			dht.DecryptWith(e.cfg.Identity), dht.WhereUserType(requestUserType))
		if err != nil {
			e.cancel()
			s.close()
			return fmt.Errorf("connection: listening for requests: %w", err)
		}
	}
	stop := context.AfterFunc(ctx, e.cancel)
	e.wg.Go(func() {
		defer stop()
		e.receive(events, s)
	})
	return nil
}

// Close ends all attempts and connections and waits for them, and for the handlers of
// their channels. The error is always nil.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.cancel()
	e.Disconnect(func(Peer) bool { return true })
	e.wg.Wait()
	return nil
}

// spawn runs f in a goroutine that Close waits for, unless it is too late.
func (e *Endpoint) spawn(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.wg.Go(f)
	return true
}

// receive owns the order of requests: each is handled once, and none too often.
func (e *Endpoint) receive(events [2]<-chan dht.Event, s *seen) {
	defer s.close()
	limits := ratelimit.New[value.LongID](ratelimit.Config{Rate: requestRate, Burst: requestBurst, Sources: maxLimiters})
	handle := func(g generation, ev dht.Event, ok bool) {
		if !ok {
			events[g] = nil // the node closed
			return
		}
		v := ev.Value
		if ev.Expired || v == nil || !v.IsSigned() || v.Type != value.UserData || v.To != e.ids.Short || v.UserType != requestUserType {
			return
		}
		from := identity.IDsOf(v.Owner)
		q, err := parseRequest(v.Data)
		if err != nil {
			e.refuse(refusedMalformed, from.String(), err)
			return
		}
		if from.Long == e.ids.Long {
			return // our own, seen because the DHT shows all at a key
		}
		if !s.first(requestKey{from.Long, q.id, q.answer}, e.cfg.Now()) {
			e.cfg.Metrics.refuse(refusedReplay)
			return
		}
		if q.answer {
			e.answered(from, q)
			return
		}
		if !limits.AllowN(e.cfg.Now(), from.Long, 1) {
			e.refuse(refusedRate, from.String(), nil)
			return
		}
		select {
		case e.slots <- struct{}{}:
		default:
			e.refuse(refusedRate, "all", nil)
			return
		}
		if !e.spawn(func() {
			defer func() { <-e.slots }()
			e.answer(g, v.Owner, q)
		}) {
			<-e.slots
		}
	}
	for events[0] != nil || events[1] != nil {
		select {
		case ev, ok := <-events[0]:
			handle(legacy, ev, ok)
		case ev, ok := <-events[1]:
			handle(current, ev, ok)
		}
	}
}

// answered passes an answer to whoever waits for it.
func (e *Endpoint) answered(from identity.KeyIDs, q request) {
	e.mu.Lock()
	ch := e.pending[requestKey{from.Long, q.id, true}]
	e.mu.Unlock()
	if ch != nil {
		ch <- q // has room for the one answer that can come
	}
}

// refuse counts, and logs once for each peer and reason.
func (e *Endpoint) refuse(reason, who string, err error) {
	e.cfg.Metrics.refuse(reason)
	key := reason + " " + who
	e.mu.Lock()
	_, before := e.logged.get(key)
	if !before {
		e.logged.add(key, struct{}{})
	}
	e.mu.Unlock()
	if !before {
		e.log.Warn("jami: refused", "reason", reason, "peer", who, "error", err)
	}
}

// accept finds who serves a channel that a peer opens.
func (e *Endpoint) accept(p Peer, name string) (func(*mux.Channel), bool) {
	h, ok := e.handlers.find(name)
	if !ok || (h.Accept != nil && !h.Accept(p, name)) {
		e.log.Debug("jami: channel declined", "channel", name, "peer", p.Account, "device", p.Device)
		return nil, false
	}
	e.cfg.Metrics.channel("peer")
	return func(c *mux.Channel) { h.Serve(&Channel{c, p}) }, true
}
