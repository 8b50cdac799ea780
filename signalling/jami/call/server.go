package call

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/pion/stun"

	"rendezvous/conference"
	"rendezvous/internal/tracing"
	"rendezvous/mixer/leg"
	"rendezvous/signalling/jami/connection"
	"rendezvous/signalling/jami/sipchannel"
	"rendezvous/signalling/keypad"
)

// ICE says how a call's media finds its way through networks.
type ICE struct {
	Servers          []string // "stun:host:port", "turn:user:password@host:port"
	PortMin, PortMax uint16   // UDP ports of media; 0 leaves them to the system
	PublicIPs        []string // addresses of a 1:1 NAT in front of the host

	parsed []*stun.URI
}

// Config are the parameters of a Server.
type Config struct {
	Log         *slog.Logger
	Account     string        // our account id, 40 hex digits
	Device      string        // our device id, 64 hex digits
	DeviceShort string        // the device key's short id, 40 hex digits
	Title       func() string // shown to callers; nil: nothing is
	ICE         ICE
	H265        bool // pictures in H.265 are taken from who offers nothing else
	LegMetrics  *leg.Metrics
	Metrics     *Metrics
	Tracer      *tracing.Tracer // of calls' set-ups; nil: nothing is traced
	Room        string          // for it
	Keypad      keypad.Config   // how callers are spoken to and their keys are understood

	// Join asks the room to take a caller in (conference.Room.Join).
	Join func(context.Context, conference.Caller, *leg.Leg, conference.Listener) (*conference.Member, error)
	// Text takes a text that came outside of any call; may be nil.
	Text func(peer Peer, text string)
	// Profile is the vCard that callers are sent, once for each device and version; nil: none is.
	Profile func() []byte
}

// Server takes the calls that Jami devices make to one account, on the channels of an exchange
// that gives it what is not somebody else's.
type Server struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex // guards what follows
	draining bool
	calls    map[*Call]bool
	dialogs  map[dialogKey]*Call
	helpers  int             // background goroutines
	told     map[string]bool // complaints that are in the log

	introduced map[string][sha256.Size]byte // the profile that each device has had
}

// dialogKey finds a dialog: devices choose their Call-IDs, and must not meet each other's calls.
type dialogKey struct {
	channel *sipchannel.Channel
	id      string // Call-ID
}

const (
	maxHelpers = 256 // requests to peers that are under way, of all calls together
	maxCalls   = 512
	maxOfOne   = 8    // calls of one account
	maxTold    = 1024 // complaints that are remembered

	// parting is how long channels stay open after the last BYE: jamid shows a call as failed
	// whose channel ends before it has treated the BYE that it has answered.
	parting = 200 * time.Millisecond
)

// NewServer returns a server without callers. It fails for an ICE server that is none.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Title == nil {
		cfg.Title = func() string { return "" }
	}
	for _, s := range cfg.ICE.Servers {
		u, err := parseICEServer(s)
		if err != nil {
			return nil, err
		}
		cfg.ICE.parsed = append(cfg.ICE.parsed, u)
	}
	s := &Server{cfg: cfg, log: cfg.Log, calls: make(map[*Call]bool), dialogs: make(map[dialogKey]*Call), told: make(map[string]bool),
		introduced: make(map[string][sha256.Size]byte)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// parseICEServer reads "stun:host:port" or "turn:user:password@host:port".
func parseICEServer(s string) (*stun.URI, error) {
	scheme, rest, _ := strings.Cut(s, ":")
	user, password := "", ""
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		user, password, _ = strings.Cut(rest[:i], ":")
		rest = rest[i+1:]
	}
	u, err := stun.ParseURI(scheme + ":" + rest)
	if err != nil {
		return nil, fmt.Errorf("ICE server %q: %w", scheme+":"+rest, err)
	}
	u.Username, u.Password = user, password
	return u, nil
}

func (c *Call) iceConfig() iceConfig {
	i := &c.cfg.ICE
	return iceConfig{Servers: i.parsed, PortMin: i.PortMin, PortMax: i.PortMax, PublicIPs: i.PublicIPs,
		Peer: c.party.Addr, Malformed: c.cfg.Metrics.stunMalformed}
}

// Peer is the device at the other end of a channel, as TLS proved it.
type Peer struct {
	Account string // 40 hex digits
	Device  string // 64 hex digits
	// Addr is where it is, as far as its channel tells; for calls alone.
	Addr netip.Addr
}

func peerOf(p connection.Peer) Peer {
	return Peer{Account: p.Account.String(), Device: p.Device.Long.String()}
}

// Ended takes notice of the end of a SIP channel: what was malformed is in the log once.
func (s *Server) Ended(p connection.Peer, why error) {
	if errors.Is(why, sipchannel.ErrMalformed) {
		s.complain(peerOf(p), "SIP channel ends", why)
	}
}

// complain logs what is wrong with a peer, each kind of thing once.
func (s *Server) complain(peer Peer, what string, err error) {
	key := what + " " + peer.Account
	s.mu.Lock()
	before := s.told[key]
	if !before {
		if len(s.told) >= maxTold {
			clear(s.told)
		}
		s.told[key] = true
	}
	s.mu.Unlock()
	if !before {
		s.log.Warn(what, "peer", peer.Account, "reason", err)
	}
}

// Receive sorts one request of a channel: to its call, or to begin one. It takes every request.
func (s *Server) Receive(ch *sipchannel.Channel, r *sip.Request) bool {
	s.mu.Lock()
	c := s.dialogs[dialogKey{ch, r.CallID().Value()}]
	s.mu.Unlock()
	if c != nil {
		s.inDialog(c, r)
	} else {
		s.outside(ch, r)
	}
	return true
}

// inDialog hands a request to the call that it belongs to.
func (s *Server) inDialog(c *Call, r *sip.Request) {
	if r.Method == sip.CANCEL {
		_ = c.link.Respond(r, 200, "OK", c.localTag, nil)
		if c.final.CompareAndSwap(false, true) {
			c.end(errCancelled)
		}
		return
	}
	select {
	case c.inbox <- r:
	default:
		s.cfg.Metrics.refuse("flood")
		s.complain(c.party, "too many requests at once", errors.New("some were refused"))
		if r.Method != sip.ACK {
			_ = c.link.Respond(r, 503, "Service Unavailable", "", nil)
		}
	}
}

// outside treats a request that belongs to no call.
func (s *Server) outside(ch *sipchannel.Channel, r *sip.Request) {
	switch r.Method {
	case sip.INVITE:
		s.invite(ch, r)
	case sip.ACK:
	case sip.MESSAGE:
		kind := contentType(r)
		if s.cfg.Text != nil && kind == "text/plain" {
			s.cfg.Text(peerOf(ch.Peer()), string(r.Body()))
		}
		_ = ch.Respond(r, 200, "OK", sipchannel.Token(), nil)
	case sip.OPTIONS:
		_ = ch.Respond(r, 200, "OK", sipchannel.Token(), func(resp *sip.Response) {
			resp.AppendHeader(sip.NewHeader("Allow", sipchannel.Allow))
		})
	default:
		s.cfg.Metrics.refuse("dialog")
		_ = ch.Respond(r, 481, "Call/Transaction Does Not Exist", sipchannel.Token(), nil)
	}
}

func (s *Server) invite(ch *sipchannel.Channel, r *sip.Request) {
	peer := peerOf(ch.Peer())
	// The caller is who TLS says, and must not say otherwise (docs/jami/calls.md#sip-on-a-channel).
	if user := r.From().Address.User; !strings.EqualFold(user, peer.Account) {
		s.cfg.Metrics.refuse("from")
		s.complain(peer, "call refused", errors.New("the From header is not the account of the connection"))
		_ = ch.Respond(r, 403, "Forbidden", sipchannel.Token(), nil)
		return
	}
	if !forUs(r.To().Address.User, s.cfg.Account, s.cfg.Device) {
		s.cfg.Metrics.refuse("to")
		_ = ch.Respond(r, 404, "Not Found", sipchannel.Token(), nil)
		return
	}
	if tag, _ := r.To().Params.Get("tag"); tag != "" { // of a dialog that is over
		s.cfg.Metrics.refuse("dialog")
		_ = ch.Respond(r, 481, "Call/Transaction Does Not Exist", "", nil)
		return
	}
	before, ok := parseReplaces(r)
	if !ok {
		s.cfg.Metrics.refuse("replaces")
		_ = ch.Respond(r, 400, "Bad Replaces", sipchannel.Token(), nil)
		return
	}
	s.mu.Lock()
	old := s.replaced(before)
	if before.call != "" && old == nil {
		s.mu.Unlock()
		s.cfg.Metrics.refuse("replaces")
		_ = ch.Respond(r, 481, "Call/Transaction Does Not Exist", sipchannel.Token(), nil)
		return
	}
	if s.ofOne(peer.Account) >= maxOfOne {
		s.mu.Unlock()
		s.cfg.Metrics.refuse("busy")
		s.complain(peer, "call refused", errors.New("too many calls of one account"))
		_ = ch.Respond(r, 486, "Busy Here", sipchannel.Token(), nil)
		return
	}
	if s.draining || s.ctx.Err() != nil || len(s.calls) >= maxCalls {
		s.mu.Unlock()
		s.cfg.Metrics.refuse("closed")
		_ = ch.Respond(r, 503, "Service Unavailable", sipchannel.Token(), func(resp *sip.Response) {
			resp.AppendHeader(sip.NewHeader("Retry-After", "60"))
		})
		return
	}
	c := s.newCall(ch, r.CallID().Value(), "in")
	c.replaces = old
	s.calls[c] = true
	s.wg.Add(1)
	s.mu.Unlock()
	c.takeAllow(r)
	c.establish(r)
	go func() {
		defer close(c.over)
		defer s.forget(c)
		c.answer(r)
	}()
}

// newCall makes a call that its channel's requests find; mu is held.
func (s *Server) newCall(ch *sipchannel.Channel, id, direction string) *Call {
	c := &Call{cfg: s.cfg, link: ch, party: peerOf(ch.Peer()), server: s, id: id, session: callID(), localTag: sipchannel.Token(),
		inbox: make(chan *sip.Request, inboxSize), over: make(chan struct{}), acked: make(chan struct{}),
		arrived: make(chan *conference.Member, 1), heard: make(chan struct{}),
		recorded: make(chan struct{}, 1), news: newNews()}
	c.party.Addr = ch.PeerAddr()
	c.sdpName = "Call ID " + c.session
	c.log = s.log.With("peer", c.party.Account, "call", c.session)
	c.setup = s.cfg.Tracer.Begin("jami", direction, s.cfg.Room, "invite")
	c.log = c.setup.Log(c.log)
	c.pad, c.leg = keypad.New(s.cfg.Keypad, leg.Config{Log: c.log, Metrics: s.cfg.LegMetrics,
		OnFirst: func(k leg.Kind) { c.setup.Packet(k.String()) }, OnSize: c.sized})
	c.ctx, c.cancel = context.WithCancelCause(s.ctx)
	c.unlink = context.AfterFunc(ch.Context(), func() { c.end(errLinkLost) })
	s.dialogs[dialogKey{ch, id}] = c
	return c
}

// replaced is the call that a Replaces header names, nil if there is none; mu is held.
func (s *Server) replaced(d replaced) *Call {
	for c := range s.calls {
		if c.matches(d) {
			return c
		}
	}
	return nil
}

// ofOne is how many calls an account has; mu is held.
func (s *Server) ofOne(account string) (n int) {
	for c := range s.calls {
		if c.party.Account == account {
			n++
		}
	}
	return n
}

// dropCall ends a dialog's being found.
func (s *Server) dropCall(c *Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.dialogs, dialogKey{c.link, c.id})
}

func (s *Server) forget(c *Call) {
	s.mu.Lock()
	delete(s.calls, c)
	s.mu.Unlock()
	s.wg.Done()
}

// background runs f in a goroutine of the server's, unless there are too many.
func (s *Server) background(f func()) (started bool) {
	s.mu.Lock()
	if s.helpers >= maxHelpers || s.ctx.Err() != nil {
		s.mu.Unlock()
		return false
	}
	s.helpers++
	s.wg.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.wg.Done()
		f()
		s.mu.Lock()
		s.helpers--
		s.mu.Unlock()
	}()
	return true
}

// Drain refuses new calls from now on.
func (s *Server) Drain() {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
}

// Calls is how many calls there are.
func (s *Server) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// Close ends all calls, saying BYE, and waits for them.
func (s *Server) Close() {
	s.mu.Lock()
	s.draining = true
	calls := make([]*Call, 0, len(s.calls))
	for c := range s.calls {
		calls = append(calls, c)
	}
	s.mu.Unlock()
	for _, c := range calls {
		c.end(errEnded)
	}
	for _, c := range calls {
		<-c.over
	}
	if len(calls) > 0 {
		time.Sleep(parting)
	}
	s.mu.Lock() // whoever adds to wg has seen that ctx goes on, and has done it
	s.cancel()
	s.mu.Unlock()
	s.wg.Wait()
}
