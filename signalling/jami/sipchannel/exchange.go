package sipchannel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/connection"
)

// Config is what an Exchange is made of.
type Config struct {
	Account string        // our account id, 40 hex digits
	Name    func() string // by which we introduce ourselves; nil: none
	// Dial opens a new channel named "sip" to a device; connType says what for (docs/jami/connection.md#connection-requests).
	Dial func(ctx context.Context, to identity.KeyIDs, connType string) (Stream, error)
	// Malformed is called for each message that could not be read; may be nil.
	Malformed func()
	Log       *slog.Logger // nil is silent
}

// Stream is a byte stream to a proven device; *connection.Channel is one.
type Stream interface {
	net.Conn
	// Peer is the device at the other end, and its account.
	Peer() connection.Peer
}

// Exchange has the SIP channels of one account. Register who takes requests, then Serve.
type Exchange struct {
	cfg Config
	log *slog.Logger

	// Set before the first channel is served.
	takers []func(*Channel, *sip.Request) bool
	opened []func(connection.Peer)
	ended  []func(connection.Peer, error)

	wg sync.WaitGroup

	mu       sync.Mutex // guards what follows
	closed   bool
	channels map[value.LongID][]*Channel // of each device, oldest first
	dialling map[value.LongID]*dialling
}

// dialling is a channel being opened, which several may wait for.
type dialling struct {
	done    chan struct{}
	channel *Channel // valid once done is closed, as what follows
	err     error
	gaveUp  bool // it failed because who dialled would wait no longer
}

// ErrClosed is returned when the exchange is closed.
var ErrClosed = errors.New("sipchannel: closed")

const (
	// settleTime is how long the first answer on a channel may take. The peer's machine may be
	// a slow and busy one.
	settleTime = 10 * time.Second
	// trustSilence is how long a peer may have said nothing on a channel and still be taken to be there.
	trustSilence = 5 * time.Second
	// probeTime is how long it may then take to show that it is.
	probeTime = 3 * time.Second
)

// New returns an exchange without channels.
func New(cfg Config) *Exchange {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Exchange{cfg: cfg, log: cfg.Log, channels: make(map[value.LongID][]*Channel), dialling: make(map[value.LongID]*dialling)}
}

// OnRequest registers who takes requests: the first, in the order of registration, whose take
// says that the request was theirs. It is called in a channel's reader and must not wait for the peer.
func (x *Exchange) OnRequest(take func(*Channel, *sip.Request) bool) {
	x.takers = append(x.takers, take)
}

// OnOpen registers who is told of each new channel, in its reader.
func (x *Exchange) OnOpen(f func(connection.Peer)) { x.opened = append(x.opened, f) }

// OnEnd registers who is told that a channel has ended, and why; nil is its orderly end.
func (x *Exchange) OnEnd(f func(connection.Peer, error)) { x.ended = append(x.ended, f) }

func (x *Exchange) request(c *Channel, r *sip.Request) {
	for _, take := range x.takers {
		if take(c, r) {
			return
		}
	}
	if r.Method != sip.ACK {
		_ = c.Respond(r, 405, "Method Not Allowed", Token(), nil)
	}
}

func (x *Exchange) malformed() {
	if x.cfg.Malformed != nil {
		x.cfg.Malformed()
	}
}

func (x *Exchange) name() string {
	if x.cfg.Name == nil {
		return ""
	}
	return x.cfg.Name()
}

// Serve has a channel that a peer opened, until it ends.
func (x *Exchange) Serve(peer connection.Peer, conn net.Conn) {
	if c, err := x.add(peer, conn); err == nil {
		x.serve(c)
	}
}

// add takes a channel into service. It must be served.
func (x *Exchange) add(peer connection.Peer, conn net.Conn) (*Channel, error) {
	c := newChannel(x, peer, conn)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		_ = conn.Close()
		c.cancel()
		return nil, ErrClosed
	}
	x.wg.Add(1)
	id := peer.Device.Long
	x.channels[id] = append(x.channels[id], c)
	return c, nil
}

func (x *Exchange) serve(c *Channel) {
	defer x.wg.Done()
	for _, f := range x.opened {
		f(c.peer)
	}
	err := c.run()
	x.remove(c)
	if err != nil {
		x.log.Debug("SIP channel ends", "peer", c.peer.Account, "reason", err)
	}
	for _, f := range x.ended {
		f(c.peer, err)
	}
}

func (x *Exchange) remove(c *Channel) {
	x.mu.Lock()
	defer x.mu.Unlock()
	id := c.peer.Device.Long
	var rest []*Channel
	for _, o := range x.channels[id] {
		if o != c {
			rest = append(rest, o)
		}
	}
	if len(rest) == 0 {
		delete(x.channels, id)
	} else {
		x.channels[id] = rest
	}
}

// To returns a channel to a device on which it may be sent anything: the newest there is, if the device
// is heard on it, or a new one. Who asks while another dials waits for that one. The error is ErrClosed,
// the context's, or that of opening a channel (connection.ErrNoAnswer, mux.ErrDeclined).
func (x *Exchange) To(ctx context.Context, to identity.KeyIDs, connType string) (*Channel, error) {
	for {
		x.mu.Lock()
		if x.closed {
			x.mu.Unlock()
			return nil, ErrClosed
		}
		if d := x.dialling[to.Long]; d != nil {
			x.mu.Unlock()
			select {
			case <-d.done:
			case <-ctx.Done():
				return nil, fmt.Errorf("SIP channel to %s: %w", to, ctx.Err())
			}
			if d.gaveUp {
				continue // who dialled has lost patience, and we have not
			}
			return d.channel, d.err
		}
		d := &dialling{done: make(chan struct{})}
		x.dialling[to.Long] = d
		x.mu.Unlock()
		d.channel, d.err = x.reach(ctx, to, connType)
		d.gaveUp = d.err != nil && ctx.Err() != nil
		x.mu.Lock()
		delete(x.dialling, to.Long)
		x.mu.Unlock()
		close(d.done)
		return d.channel, d.err
	}
}

// reach finds a channel that is alive, or opens one.
func (x *Exchange) reach(ctx context.Context, to identity.KeyIDs, connType string) (*Channel, error) {
	if c := x.newest(to.Long); c != nil {
		if c.trusted() || c.settle(ctx, probeTime) == nil {
			return c, nil
		}
		c.Close()
	}
	ch, err := x.cfg.Dial(ctx, to, connType)
	if err != nil {
		return nil, fmt.Errorf("SIP channel to %s: %w", to, err)
	}
	c, err := x.add(ch.Peer(), ch)
	if err != nil {
		return nil, err
	}
	go x.serve(c) // Close waits for it
	if err := c.settle(ctx, settleTime); err != nil {
		c.Close()
		return nil, fmt.Errorf("new SIP channel to %s: %w", to, err)
	}
	return c, nil
}

func (x *Exchange) newest(id value.LongID) *Channel {
	x.mu.Lock()
	defer x.mu.Unlock()
	if list := x.channels[id]; len(list) > 0 {
		return list[len(list)-1]
	}
	return nil
}

// trusted reports whether the device has said something on the channel lately.
func (c *Channel) trusted() bool {
	at := c.heard.Load()
	return at != nil && time.Since(*at) < trustSilence
}

// settle asks the device for a sign of life, whatever it says, before anything else is sent.
//
// A daemon that opens or accepts a channel takes the lock of its SIP connections and handles
// what has come meanwhile with the lock still held: an INVITE, which needs that lock, locks the
// daemon up for good, seen with a debugger. So the first request on a channel is one that needs
// nothing, and the answer shows that the daemon has set the channel up.
func (c *Channel) settle(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	target, d := c.Open(Token(), Token())
	_, err := c.Request(ctx, c.NewRequest(sip.OPTIONS, target, d, 1))
	return err
}

// Close ends all channels and waits for their readers. Nobody may call To any more.
func (x *Exchange) Close() {
	x.mu.Lock()
	x.closed = true
	for _, list := range x.channels {
		for _, c := range list {
			c.Close()
		}
	}
	x.mu.Unlock()
	x.wg.Wait()
}
