package conversation

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"sync"
	"time"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/connection"
	"rendezvous/signalling/jami/sipchannel"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
)

// Config is what a Service is made of.
type Config struct {
	Account *account.Account
	// SIP has the account's SIP channels. The service takes the messages of conversations
	// from it, if it is registered before those who take more.
	SIP *sipchannel.Exchange
	// Swarm says where the conversations are and who is told of what happens.
	// Identity, Name, Network and VCard are filled in.
	Swarm swarm.Config
	Log   *slog.Logger // nil is silent
}

// Service is an account's conversations on the network.
type Service struct {
	cfg     Config
	log     *slog.Logger
	account *account.Account
	swarm   *swarm.Swarm
	own     *ownSync

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex // guards the rest
	closed   bool
	msg      map[value.LongID]*msgLink  // the newest of each device
	noMsg    map[value.LongID]time.Time // devices that declined "msg:", and when
	carded   map[value.LongID]bool      // devices that have our profile
	contacts func(account.Contact)
}

// Bounds.
const (
	maxDevices = 4096 // that are remembered
	noMsgAgain = 10 * time.Minute
	cloneTime  = 2 * time.Minute
)

// New opens the conversations of an account and registers for its channels and messages:
// call it before the account starts. It fails without an account or its SIP channels, and
// if the folder cannot be read; a damaged conversation is no error.
func New(cfg Config) (*Service, error) {
	if cfg.Account == nil || cfg.SIP == nil {
		return nil, errors.New("conversation: an account and its SIP channels are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{cfg: cfg, log: cfg.Log, account: cfg.Account,
		msg: map[value.LongID]*msgLink{}, noMsg: map[value.LongID]time.Time{}, carded: map[value.LongID]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.own = newOwnSync(s)
	c := s.own.watched(cfg.Swarm)
	c.Identity, c.Name, c.Network, c.VCard = cfg.Account.Identity(), cfg.Account.DisplayName, (*network)(s), cfg.Account.VCard
	if c.Log == nil {
		c.Log = cfg.Log
	}
	var err error
	if s.swarm, err = swarm.Open(c); err != nil {
		return nil, fmt.Errorf("conversation: %w", err)
	}
	for _, scheme := range swarm.Schemes {
		cfg.Account.HandleChannel(scheme, connection.Handler{
			Accept: func(p connection.Peer, name string) bool { return s.swarm.AcceptChannel(peerOf(p), name) },
			Serve:  func(ch *connection.Channel) { s.swarm.ServeChannel(peerOf(ch.Peer()), ch.Name(), ch) },
		})
	}
	cfg.SIP.OnRequest(s.takeSIP)
	cfg.SIP.OnOpen(func(p connection.Peer) { s.background(func() { s.met(p) }) })
	cfg.SIP.OnEnd(s.sipEnded)
	cfg.Account.HandleChannel("msg:", connection.Handler{Serve: func(ch *connection.Channel) { s.serveMsg(ch.Peer(), ch) }})
	cfg.Account.HandleChannel(drtScheme, connection.Handler{
		Accept: s.drtAllowed,
		Serve:  func(ch *connection.Channel) { s.serveDRT(ch.Peer(), ch.Name(), ch) },
	})
	cfg.Account.HandleChannel(syncScheme, connection.Handler{Accept: s.own.allowed, Serve: s.own.serve})
	cfg.Account.OnContactsChanged(s.own.nudge)
	cfg.Account.OnMergedContact(s.mergedContact)
	cfg.Account.OnMessage(func(p connection.Peer, m account.Message) {
		for mime, body := range m.Bodies {
			s.swarm.Message(peerOf(p), mime, []byte(body))
		}
	})
	cfg.Account.OnContact(s.contact)
	return s, nil
}

func peerOf(p connection.Peer) swarm.Peer { return swarm.Peer{Account: p.Account, Device: p.Device} }

// Swarm has the conversations themselves. It starts and ends with the Service.
func (s *Service) Swarm() *swarm.Swarm { return s.swarm }

// Start catches up with the members who are online, and with the account's other
// devices. Call it when the account has been published.
func (s *Service) Start() {
	s.swarm.Start()
	s.background(s.own.run)
}

// Close ends everything the service runs, and waits. The account is to be closed
// as well: its channels end with it.
func (s *Service) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	err := s.swarm.Close()
	s.wg.Wait()
	return err
}

// background runs f in a goroutine that Close waits for.
func (s *Service) background(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.wg.Go(f)
	}
}

// OnContact registers who is told of accounts that became contacts, in place of
// account.OnContact, which the service uses itself.
func (s *Service) OnContact(f func(account.Contact)) {
	s.mu.Lock()
	s.contacts = f
	s.mu.Unlock()
}

// contact joins the one-to-one conversation that a new contact made for us.
func (s *Service) contact(c account.Contact) {
	s.mu.Lock()
	f := s.contacts
	s.mu.Unlock()
	if f != nil {
		f(c)
	}
	if c.Conversation == "" || s.swarm.Conversation(c.Conversation) != nil {
		return
	}
	s.background(func() {
		ctx, cancel := context.WithTimeout(s.ctx, cloneTime)
		defer cancel()
		if _, err := s.swarm.AcceptFrom(ctx, c.Conversation, c.Account); err != nil {
			s.log.Warn("conversation: joining a contact's conversation", "contact", c.Account, "error", err)
		}
	})
}

// Ask asks an account to be a contact, in the background, as clients do: with the
// invitation to a one-to-one conversation. It fails if that, or the contact, cannot be
// saved.
func (s *Service) Ask(other value.Key) error {
	var id string
	for _, c := range s.account.Contacts() {
		if c.Account == other && c.Confirmed {
			return nil
		}
		if c.Account == other && s.swarm.Conversation(c.Conversation) != nil {
			id = c.Conversation // of an earlier request
		}
	}
	if id == "" {
		c, err := s.swarm.Create(commit.OneToOne, &other)
		if err != nil {
			return fmt.Errorf("conversation: %w", err)
		}
		id = c.ID()
	}
	return s.account.Ask(other, id)
}

// met is called when a connection for messages with a device is there.
func (s *Service) met(p connection.Peer) {
	s.swarm.Met(peerOf(p))
	for _, c := range s.swarm.Conversations() {
		if !c.Repository().Role(p.Account).Belongs() {
			continue
		}
		s.mu.Lock()
		again := s.carded[p.Device.Long]
		if len(s.carded) >= maxDevices {
			clear(s.carded)
		}
		s.carded[p.Device.Long] = true
		s.mu.Unlock()
		if again {
			return
		}
		s.background(func() {
			ctx, cancel := context.WithTimeout(s.ctx, openTime)
			defer cancel()
			if err := s.account.SendProfile(ctx, p.Device, c.ID()); err != nil {
				s.log.Debug("conversation: profile not sent", "to", p.Account, "error", err)
			}
		})
		return
	}
}

// network is the Service as package swarm sees it.
type network Service

// connType tells the other side's program what a connection is for.
const connType = swarm.TypeCommit

func (n *network) OpenChannel(ctx context.Context, to identity.KeyIDs, name string) (net.Conn, error) {
	ch, err := n.account.OpenChannel(ctx, to, name, connType)
	if err != nil {
		return nil, err
	}
	return ch, nil
}

func (n *network) SendMessage(ctx context.Context, to swarm.Peer, mime string, body []byte) error {
	return (*Service)(n).sendMessage(ctx, to, mime, body)
}

func (n *network) Devices(ctx context.Context, id value.Key) iter.Seq2[swarm.Peer, error] {
	return func(yield func(swarm.Peer, error) bool) {
		for p, err := range n.account.Devices(ctx, id) {
			if !yield(peerOf(p), err) {
				return
			}
		}
	}
}

func (n *network) Connected() []swarm.Peer {
	var out []swarm.Peer
	for _, p := range n.account.Connected() {
		out = append(out, peerOf(p))
	}
	return out
}
