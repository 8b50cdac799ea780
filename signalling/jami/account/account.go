package account

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"rendezvous/dht"
	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/internal/atomicfile"
	"rendezvous/signalling/jami/connection"
	"rendezvous/signalling/jami/connection/icetcp"
)

// Node is what an account needs of the DHT; *dht.Node has it, and says what the methods
// do. All accounts share one.
type Node interface {
	connection.DHT
	Get(ctx context.Context, key dht.Key, opts ...dht.Option) iter.Seq2[*dht.Value, error]
	PublishAccount(ctx context.Context, account *identity.Account) (*dht.Permanent, error)
	FindDevices(ctx context.Context, account dht.Key, except ...dht.Key) iter.Seq2[identity.Chain, error]
}

// maxPinned bounds the certificates of other devices that are remembered.
const maxPinned = 4096

// Config is what an Account is made of.
type Config struct {
	// Dir is the account's own data folder: keys (0600), contacts,
	// certificates of others. It is made if need be.
	Dir string
	// DisplayName is what others see; SetProfile changes it later.
	DisplayName string
	// Avatar is a PNG or JPEG picture; empty for none.
	Avatar []byte
	Node   Node
	// Listener and Gatherer are shared by all accounts of the program.
	Listener *icetcp.Listener
	Gatherer connection.Gatherer
	// Policy says who may connect; SetPolicy changes it later.
	Policy Policy
	// KeyBits is the size of new keys; 0 is Jami's 4096.
	KeyBits int
	// AllowLoopback lets peers offer loopback addresses; for tests.
	AllowLoopback bool
	Now           func() time.Time // nil is time.Now
	Logger        *slog.Logger     // nil is silent
	Metrics       *connection.Metrics
}

// Account is one account. Its methods are safe for many goroutines.
type Account struct {
	cfg      Config
	log      *slog.Logger
	keys     *identity.Account
	certs    *certificates
	endpoint *connection.Endpoint
	revoked  *revocations
	book     *book // policy, contacts, bans, requests

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu          sync.Mutex // guards the rest
	name        string
	avatar      []byte
	publication *dht.Permanent
	asking      map[value.Key]context.CancelFunc // requests to be a contact, until they are agreed to
	onRequest   func(TrustRequest)
	onContact   func(Contact)
	onMerged    func(Contact)
	onMessage   func(connection.Peer, Message)
}

// Open loads the account in cfg.Dir. It makes one there if nothing of an account is in the folder (MakeKeys): what is
// damaged or gone is never replaced by something new, but told.
func Open(cfg Config) (*Account, error) {
	if cfg.Dir == "" || cfg.Node == nil {
		return nil, errors.New("account: data folder and DHT node are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	keys, err := openKeys(cfg.Dir, cfg.KeyBits)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.Tidy(cfg.Dir); err != nil {
		cfg.Logger.Warn("account: what a crash has left behind cannot be removed", "error", err)
	}
	a := &Account{cfg: cfg, keys: keys, name: cfg.DisplayName, avatar: cfg.Avatar, asking: make(map[value.Key]context.CancelFunc)}
	a.log = cfg.Logger.With("account", a.ID())
	store, err := identity.OpenStore(filepath.Join(cfg.Dir, "certificates"), maxPinned)
	if store == nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	if err != nil {
		a.log.Warn("account: certificates skipped", "error", err)
	}
	a.certs = &certificates{node: cfg.Node, store: store, now: cfg.Now}
	if a.book, err = openBook(filepath.Join(cfg.Dir, "contacts.json"), cfg.Policy); err != nil {
		return nil, err
	}
	if a.revoked, err = openRevocations(filepath.Join(cfg.Dir, "revoked")); err != nil {
		return nil, err
	}
	a.endpoint, err = connection.New(connection.Config{
		Identity:      keys.Device,
		DHT:           a.certs,
		Listener:      cfg.Listener,
		Gatherer:      cfg.Gatherer,
		Allow:         func(p connection.Peer, _ string) bool { return a.allow(p) },
		SeenFile:      filepath.Join(cfg.Dir, "requests"),
		AllowLoopback: cfg.AllowLoopback,
		Now:           cfg.Now,
		Logger:        a.log,
		Metrics:       cfg.Metrics,
	})
	if err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a, nil
}

// ID is the account id: 40 hex digits as text, what people dial.
func (a *Account) ID() value.Key { return a.keys.ID() }

// URI is the id with its scheme, as a QR code or a link has it.
func (a *Account) URI() string { return "jami:" + a.ID().String() }

// Device holds both ids of the account's device.
func (a *Account) Device() identity.KeyIDs { return a.endpoint.Device() }

// Identity is the device key with its chain: it signs commits and values.
func (a *Account) Identity() *identity.Identity { return a.keys.Device }

// Keys is the whole identity with the account's certificates.
func (a *Account) Keys() *identity.Account { return a.keys }

// Start publishes and announces the account and listens for others, until ctx
// ends or Close is called. Register handlers before. It does not wait for the
// network: see WaitPublished.
func (a *Account) Start(ctx context.Context) error {
	context.AfterFunc(ctx, a.cancel)
	if err := a.endpoint.Start(a.ctx); err != nil {
		return fmt.Errorf("account: %w", err)
	}
	if err := a.listenInbox(); err != nil {
		return err
	}
	p, err := a.cfg.Node.PublishAccount(a.ctx, a.keys)
	if err != nil {
		return fmt.Errorf("account: announcing: %w", err)
	}
	a.mu.Lock()
	a.publication = p
	a.mu.Unlock()
	a.askOn()
	return nil
}

// WaitPublished returns once certificate and announcement are on the DHT for the first
// time: from then on others find the account. It fails before Start, with the context's
// error, and with dht.ErrClosed.
func (a *Account) WaitPublished(ctx context.Context) error {
	a.mu.Lock()
	p := a.publication
	a.mu.Unlock()
	if p == nil {
		return errors.New("account: not started")
	}
	return p.Wait(ctx)
}

// Close ends all connections and waits for everything the account runs. The announcement
// expires by itself. The error is always nil.
func (a *Account) Close() error {
	a.mu.Lock() // whoever adds to wg has seen that ctx goes on, and has done it
	a.cancel()
	a.mu.Unlock()
	err := a.endpoint.Close()
	a.wg.Wait()
	return err
}

// background runs f in a goroutine that Close waits for, unless that has begun.
func (a *Account) background(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ctx.Err() == nil {
		a.wg.Go(f)
	}
}

// HandleChannel registers who takes the channels of a name that peers open; see
// connection.Endpoint.HandleChannel for patterns. Whoever is connected has
// passed the Policy; further rules are the handler's.
func (a *Account) HandleChannel(pattern string, h connection.Handler) {
	a.endpoint.HandleChannel(pattern, h)
}

// OnSIPChannel registers who takes the channels that callers open. serve has
// the channel, a byte stream of SIP messages, until it returns.
func (a *Account) OnSIPChannel(serve func(peer connection.Peer, ch net.Conn)) {
	a.HandleChannel("sip", connection.Handler{
		Serve: func(ch *connection.Channel) { serve(ch.Peer(), ch) },
	})
}

// OpenChannel opens a channel to a device, connecting first if need be. The errors are
// those of connection.Endpoint.OpenChannel.
func (a *Account) OpenChannel(ctx context.Context, to identity.KeyIDs, name, connType string) (*connection.Channel, error) {
	return a.endpoint.OpenChannel(ctx, to, name, connType)
}

// Connected lists the devices with which a connection is up.
func (a *Account) Connected() []connection.Peer { return a.endpoint.Connected() }
