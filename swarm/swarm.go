package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/internal/atomicfile"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/pack"
	"rendezvous/swarm/repo"
)

// Peer is a device and whose it is, proven by its connection.
type Peer struct {
	Account value.Key
	Device  identity.KeyIDs
}

// Network reaches other devices. Its methods are called from many goroutines.
type Network interface {
	// OpenChannel opens a named byte stream to a device, connecting first if need
	// be. The error means that the device is away or declined.
	OpenChannel(ctx context.Context, to identity.KeyIDs, name string) (net.Conn, error)
	// SendMessage gives a device a message of a MIME type.
	SendMessage(ctx context.Context, to Peer, mime string, body []byte) error
	// Devices finds the devices of an account that are online.
	Devices(ctx context.Context, account value.Key) iter.Seq2[Peer, error]
	// Connected lists the devices with which a connection is up.
	Connected() []Peer
}

// Config is what a Swarm is made of.
type Config struct {
	// Dir holds the conversations and files; it is made if need be.
	Dir      string
	Identity *identity.Identity
	// Name is our display name in commits; nil is the device id.
	Name    func() string
	Network Network

	// OnEntry is told of every new commit of a conversation, ours and others', in
	// order. It and the others below are called from one goroutine.
	OnEntry func(*Conversation, repo.Entry)
	// OnInvitation is told of invitations. Accept takes them.
	OnInvitation func(Invitation)
	// OnJoined is told of conversations that are new here, also our own, and of one that
	// Open had found damaged, when it is repaired.
	OnJoined func(*Conversation)
	// OnDamaged is told of conversations that are found damaged on our disk, also by Open, and OnRepaired when one is whole
	// again.
	OnDamaged  func(Damaged)
	OnRepaired func(*Conversation)
	// VCard is our own profile, which members may ask for; nil has none.
	VCard func() []byte
	// OnVCard is told of profiles that members send.
	OnVCard func(from Peer, card []byte)
	// OnProgress is told how many of how many objects of a fetch have come.
	OnProgress func(conversation string, done, total int)
	// OpenFile opens a file that SendFile was given, to serve it; one that is encrypted on the disk can so be sent in the clear.
	// The key is all that is remembered of a file, also over restarts, and leads to it wherever it lies then: three names
	// between slashes, such as "ROOM/ID/NAME", none of them empty, "." or "..", 512 bytes at most together. nil: there are no files.
	OpenFile func(key string) (io.ReadSeekCloser, error)

	// CompareEvery is about how often heads are compared with those of connected devices; 0 is the constant of this name.
	CompareEvery time.Duration

	Limits  pack.Limits // of one fetch
	Log     *slog.Logger
	Metrics *Metrics
	Now     func() time.Time // nil: time.Now
}

// Swarm is all conversations of an account.
type Swarm struct {
	cfg     Config
	log     *slog.Logger
	account value.Key
	device  identity.KeyIDs

	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	events   *mailbox
	fetching chan struct{} // slots
	sending  chan struct{}

	reminders []time.Duration

	mu            sync.Mutex // guards the rest
	closed        bool
	started       bool
	conversations map[string]*Conversation
	damaged       map[string]*patient // also such as are among the conversations
	invitations   map[string]Invitation
	jobs          map[jobKey]*job
	soon          map[jobKey]bool          // fetches that are to begin
	has           map[jobKey]plumbing.Hash // what a device had when it last fetched from us
	told          map[jobKey]time.Time     // when a device was last told of a commit
	held          map[jobKey]bool          // what it is told a little later
	refusals      map[memberKey]refusal    // whose histories broke the rules
	newcomers     map[string]newcomer      // by conversation
	reminding     map[jobKey]chan struct{} // devices that are reminded; the channel begins it again
	reminded      map[jobKey]plumbing.Hash // the newest commit of which they were in vain
	outboxes      map[value.LongID]*outbox
	seeking       map[value.Key]*seek
	met           map[value.LongID]time.Time // when a device was last greeted
	lost          map[value.LongID]bool      // devices that are looked for
	serving       map[value.LongID]int       // channels that a device has open to us
}

// Bounds.
const (
	maxFetches     = 4  // at once: each may hold a whole pack in memory
	maxSends       = 16 // at once
	maxInvitations = 256
	maxServing     = 16 // channels of one device
	maxMet         = 4096
	greetAgain     = 5 * time.Second
	openTime       = 40 * time.Second
	seekTime       = 30 * time.Second
)

var conversationID = regexp.MustCompile(`^[0-9a-f]{40}$`)

// Open opens the conversations in cfg.Dir. One that is damaged is logged, and repaired once
// Start has been called: see Damaged. It fails without a folder, an identity or a network, and if the folder cannot be read or made.
func Open(cfg Config) (*Swarm, error) {
	if cfg.Dir == "" || cfg.Identity == nil || cfg.Network == nil {
		return nil, errors.New("swarm: folder, identity and network are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.OpenFile == nil {
		cfg.OpenFile = func(string) (io.ReadSeekCloser, error) { return nil, errors.New("there are no files to be sent") }
	}
	account, err := cfg.Identity.Chain.AccountID()
	if err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	s := &Swarm{
		cfg: cfg, log: cfg.Log, account: account,
		device:   identity.KeyIDs{Short: cfg.Identity.ID(), Long: cfg.Identity.LongID()},
		events:   newMailbox(),
		fetching: make(chan struct{}, maxFetches), sending: make(chan struct{}, maxSends),
		conversations: map[string]*Conversation{}, invitations: map[string]Invitation{}, jobs: map[jobKey]*job{}, soon: map[jobKey]bool{}, has: map[jobKey]plumbing.Hash{}, told: map[jobKey]time.Time{}, held: map[jobKey]bool{}, refusals: map[memberKey]refusal{}, newcomers: map[string]newcomer{}, reminding: map[jobKey]chan struct{}{}, reminded: map[jobKey]plumbing.Hash{}, damaged: map[string]*patient{}, reminders: reminders,
		outboxes: map[value.LongID]*outbox{}, seeking: map[value.Key]*seek{}, met: map[value.LongID]time.Time{}, lost: map[value.LongID]bool{}, serving: map[value.LongID]int{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if s.cfg.CompareEvery == 0 {
		s.cfg.CompareEvery = CompareEvery
	}
	if err := atomicfile.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	if err := atomicfile.Tidy(cfg.Dir); err != nil {
		s.log.Warn("swarm: cleaning up", "error", err)
	}
	list, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	for _, e := range list {
		switch {
		case strings.HasPrefix(e.Name(), ".new-"): // a clone that a crash cut off
			if err := os.RemoveAll(filepath.Join(cfg.Dir, e.Name())); err != nil {
				s.log.Warn("swarm: cleaning up", "error", err)
			}
		case conversationID.MatchString(e.Name()):
			r, err := s.openStored(e.Name())
			if err != nil {
				s.damage(e.Name(), err)
				continue
			}
			s.conversations[e.Name()] = newConversation(s, r)
		}
	}
	s.wg.Go(func() { s.events.run(s.ctx) })
	s.wg.Go(s.putTogether)
	return s, nil
}

// putTogether packs what conversations have in files of their own, where that is much: it makes the next start faster, and this one
// does not wait for it. While a conversation grows it is done again (keepInStep).
func (s *Swarm) putTogether() {
	for _, c := range s.Conversations() {
		if err := c.repo.Compact(s.ctx); err != nil && s.ctx.Err() == nil { // all is there: it may be that the disk is full
			s.log.Warn("swarm: cleaning up", "error", err)
		}
	}
}

// openStored opens a conversation on the disk.
func (s *Swarm) openStored(id string) (*repo.Repository, error) {
	r, err := repo.Open(s.path(id), s.author(), s.cfg.Now)
	if err == nil && r.ID().String() != id {
		return nil, errors.New("the folder holds another conversation")
	}
	return r, err
}

func (s *Swarm) path(id string) string { return filepath.Join(s.cfg.Dir, id) }

func (s *Swarm) author() repo.Author {
	return repo.Author{Identity: s.cfg.Identity, Name: s.cfg.Name}
}

// Start begins to catch up with the members that are online, to keep in step with them, and to repair what is damaged.
func (s *Swarm) Start() {
	s.background(s.keepInStep)
	s.startRepairs()
	for _, c := range s.Conversations() {
		s.catchUp(c)
	}
}

// catchUp gets what the members who are online have of a conversation.
func (s *Swarm) catchUp(c *Conversation) {
	for _, m := range c.repo.Members() {
		if m.Role.Belongs() && m.Account != s.account {
			s.reach(m.Account, c.ID(), true)
		}
	}
}

// Close ends all transfers and waits for them. Channels being served end with it. The error is of closing the
// repositories; all is closed all the same.
func (s *Swarm) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	s.mu.Lock() // the network may still tell of devices
	s.cfg.Metrics.damage(-float64(len(s.damaged)))
	clear(s.damaged)
	jobs, conversations := slices.Collect(maps.Values(s.jobs)), slices.Collect(maps.Values(s.conversations))
	s.mu.Unlock()
	var errs []error
	for _, j := range jobs {
		if j.client != nil {
			j.client.Close()
		}
	}
	for _, c := range conversations {
		errs = append(errs, c.repo.Close())
	}
	return errors.Join(errs...)
}

// background runs f in a goroutine that Close waits for.
func (s *Swarm) background(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.wg.Go(f)
	}
}

// Account is the id by which others know us.
func (s *Swarm) Account() value.Key { return s.account }

// Conversation returns a conversation by its id, or nil.
func (s *Swarm) Conversation(id string) *Conversation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conversations[id]
}

// Conversations lists all conversations, by id.
func (s *Swarm) Conversations() []*Conversation {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Conversation, 0, len(s.conversations))
	for _, c := range s.conversations {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *Conversation) int { return strings.Compare(a.ID(), b.ID()) })
	return out
}

// Create begins a conversation; other is who a one-to-one conversation is with, else nil. It fails as the disk does, and
// for a one-to-one conversation without the other; nothing is left behind then.
func (s *Swarm) Create(mode commit.Mode, other *value.Key) (*Conversation, error) {
	// Its id is known only when it is made.
	tmp, err := os.MkdirTemp(s.cfg.Dir, ".new-*")
	if err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	defer os.RemoveAll(tmp)
	made := filepath.Join(tmp, "conversation")
	r, err := repo.Create(made, s.author(), mode, other, s.cfg.Now)
	if err != nil {
		return nil, err
	}
	id := r.ID().String()
	if err := r.Close(); err != nil {
		return nil, err
	}
	if err := atomicfile.Rename(made, s.path(id)); err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	if r, err = repo.Open(s.path(id), s.author(), s.cfg.Now); err != nil {
		return nil, err
	}
	return s.add(r), nil
}

func (s *Swarm) add(r *repo.Repository) *Conversation {
	c := newConversation(s, r)
	s.mu.Lock()
	s.conversations[c.ID()] = c
	delete(s.invitations, c.ID())
	s.mu.Unlock()
	if s.cfg.OnJoined != nil {
		s.events.add(func() { s.cfg.OnJoined(c) })
	}
	return c
}

// mailbox calls functions one after the other.
type mailbox struct {
	mu    sync.Mutex // guards queue
	queue []func()
	more  chan struct{}
}

func newMailbox() *mailbox { return &mailbox{more: make(chan struct{}, 1)} }

func (m *mailbox) add(f func()) {
	m.mu.Lock()
	m.queue = append(m.queue, f)
	m.mu.Unlock()
	select {
	case m.more <- struct{}{}:
	default:
	}
}

func (m *mailbox) run(ctx context.Context) {
	for {
		select {
		case <-m.more:
		case <-ctx.Done():
			return
		}
		m.mu.Lock()
		todo := m.queue
		m.queue = nil
		m.mu.Unlock()
		for _, f := range todo {
			if ctx.Err() != nil {
				return
			}
			f()
		}
	}
}
