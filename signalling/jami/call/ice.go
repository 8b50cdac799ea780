package call

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/ice/v2"
	"github.com/pion/stun"
	"golang.org/x/sync/errgroup"

	"rendezvous/internal/destination"
	"rendezvous/signalling/stunguard"

	"crypto/rand"
	"encoding/hex"
)

const (
	// maxCandidates bounds what is taken from one peer for one component.
	maxCandidates = 16
	// maxHosts bounds the own addresses told of one component: peers take no SIP message of
	// more than 8000 bytes, and a machine may have many networks.
	maxHosts = 6
)

// iceConfig says how a call's media finds its way.
type iceConfig struct {
	Servers          []*stun.URI // STUN and TURN
	PortMin, PortMax uint16      // of host candidates; 0 leaves it to the system
	PublicIPs        []string    // addresses of a 1:1 NAT
	Peer             netip.Addr  // where the peer's signalling comes from; not valid: unknown
	Malformed        func()      // called for each STUN message that is not well-formed; may be nil
}

// iceSession is the ICE session of one call: an agent for each component, all with
// the same credentials, as peers number components through the whole session
// (docs/jami/calls.md#ice-for-media).
type iceSession struct {
	ufrag, pwd string
	components []*iceComponent
	peer       netip.Addr

	ctx    context.Context // ends with the session
	cancel context.CancelFunc
	lost   chan struct{} // closed when a path that worked is gone for good
	once   sync.Once
}

// iceComponent is one path of a medium; RTP and RTCP have one each.
type iceComponent struct {
	id    int // 1, 2, 3, … through the session
	agent *ice.Agent
	local []ice.Candidate
	conn  *ice.Conn
	echo  *echoes
}

// gatherTime is how long a call waits for its candidates: a STUN or TURN server that does
// not answer by then is done without, as a caller is waiting.
const gatherTime = 1200 * time.Millisecond

// newICESession makes agents for the components of those ids and gathers their
// candidates. It ends with ctx, or by close.
func newICESession(ctx context.Context, ids []int, cfg iceConfig) (*iceSession, error) {
	var secret [16]byte
	rand.Read(secret[:]) // never fails (crypto/rand)
	s := &iceSession{ufrag: hex.EncodeToString(secret[:4]), pwd: hex.EncodeToString(secret[4:]), peer: cfg.Peer, lost: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(ctx)
	for _, id := range ids {
		echo := &echoes{}
		agent, err := newAgent(s, cfg, echo)
		if err != nil {
			s.close()
			return nil, fmt.Errorf("ICE agent: %w", err)
		}
		s.components = append(s.components, &iceComponent{id: id, agent: agent, echo: echo})
	}
	enough, cancel := context.WithTimeout(ctx, gatherTime)
	defer cancel()
	var gathering errgroup.Group
	for _, c := range s.components {
		gathering.Go(func() error { return c.gather(enough) })
	}
	if err := gathering.Wait(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func newAgent(s *iceSession, cfg iceConfig, echo *echoes) (*ice.Agent, error) {
	// pjnath answers checks but may be slow to; a call whose media stops for good ends
	// by its own timer.
	disconnected, failed, keepalive := 15*time.Second, 40*time.Second, 5*time.Second
	checks := uint16(40)
	interval := 50 * time.Millisecond
	network, err := (&stunguard.Guard{OnDrop: cfg.Malformed}).Net()
	if err != nil {
		return nil, err
	}
	a := &ice.AgentConfig{
		Net:        &echoNet{network, echo},
		LocalUfrag: s.ufrag, LocalPwd: s.pwd,
		NetworkTypes:        []ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6},
		CandidateTypes:      []ice.CandidateType{ice.CandidateTypeHost},
		MulticastDNSMode:    ice.MulticastDNSModeDisabled,
		Urls:                cfg.Servers,
		PortMin:             cfg.PortMin,
		PortMax:             cfg.PortMax,
		DisconnectedTimeout: &disconnected,
		FailedTimeout:       &failed,
		KeepaliveInterval:   &keepalive,
		CheckInterval:       &interval,
		MaxBindingRequests:  &checks,
	}
	if len(cfg.Servers) > 0 || len(cfg.PublicIPs) > 0 {
		a.CandidateTypes = append(a.CandidateTypes, ice.CandidateTypeServerReflexive)
	}
	if len(cfg.Servers) > 0 {
		a.CandidateTypes = append(a.CandidateTypes, ice.CandidateTypeRelay)
	}
	if len(cfg.PublicIPs) > 0 {
		a.NAT1To1IPs = cfg.PublicIPs
		a.NAT1To1IPCandidateType = ice.CandidateTypeServerReflexive
	}
	agent, err := ice.NewAgent(a)
	if err != nil {
		return nil, err
	}
	err = agent.OnConnectionStateChange(func(state ice.ConnectionState) {
		if state == ice.ConnectionStateFailed {
			s.once.Do(func() { close(s.lost) })
		}
	})
	if err != nil {
		_ = agent.Close() // it has not begun
		return nil, err
	}
	return agent, nil
}

// gather collects the component's own candidates.
func (c *iceComponent) gather(ctx context.Context) error {
	done := make(chan struct{})
	err := c.agent.OnCandidate(func(x ice.Candidate) {
		if x == nil {
			close(done)
		}
	})
	if err != nil {
		return fmt.Errorf("ICE candidates: %w", err)
	}
	if err := c.agent.GatherCandidates(); err != nil {
		return fmt.Errorf("gather ICE candidates: %w", err)
	}
	select {
	case <-done:
	case <-ctx.Done(): // what has been found must do
	}
	if c.local, err = c.agent.GetLocalCandidates(); err != nil {
		return fmt.Errorf("ICE candidates: %w", err)
	}
	if len(c.local) == 0 {
		return errors.New("no address for ICE candidates")
	}
	return nil
}

// lines are the component's candidate attributes as peers parse them: seven
// fields in this order and the transport in capitals.
func (c *iceComponent) lines() []string {
	var out []string
	hosts := 0
	for _, x := range c.local {
		kind, letter := "host", "H"
		switch x.Type() {
		case ice.CandidateTypeServerReflexive:
			kind, letter = "srflx", "S"
		case ice.CandidateTypeRelay:
			kind, letter = "relay", "R"
		case ice.CandidateTypeHost:
			if hosts++; hosts > maxHosts {
				continue
			}
		default:
			continue
		}
		h := fnv.New32a()
		h.Write([]byte(x.Address()))
		priority := uint32(x.Type().Preference())<<24 + 65535<<8 + uint32(256-c.id)
		out = append(out, fmt.Sprintf("%s%08x %d UDP %d %s %d typ %s",
			letter, h.Sum32(), c.id, priority, x.Address(), x.Port(), kind))
	}
	return out
}

// remoteICE is what a peer's description says for ICE.
type remoteICE struct {
	ufrag, pwd string
	candidates map[int][]ice.Candidate // by component
}

// connect runs the checks of all components and returns when each has a path.
func (s *iceSession) connect(ctx context.Context, controlling bool, r remoteICE) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range s.components {
		for _, x := range r.candidates[c.id] {
			// No checks to this machine's own services for who is elsewhere.
			if to, err := netip.ParseAddr(x.Address()); err != nil || !destination.Allowed(to, s.peer) {
				continue
			}
			if err := c.agent.AddRemoteCandidate(x); err != nil {
				return fmt.Errorf("ICE candidate: %w", err)
			}
		}
		group.Go(func() (err error) {
			if controlling {
				c.conn, err = c.agent.Dial(ctx, r.ufrag, r.pwd)
			} else {
				c.conn, err = c.agent.Accept(ctx, r.ufrag, r.pwd)
			}
			if err != nil {
				return fmt.Errorf("ICE component %d: %w", c.id, err)
			}
			c.echo.prepare(s.ufrag, r.ufrag, r.pwd, controlling)
			return nil
		})
	}
	return group.Wait()
}

// close ends the session and its connections.
func (s *iceSession) close() {
	s.cancel()
	for _, c := range s.components {
		// The only error is that it is closed already.
		_ = c.agent.Close()
	}
}

// parseCandidate reads a candidate attribute's value and its component. Candidates of
// other transports, and what is not understood, are no error: they are of no use.
func parseCandidate(value string) (component int, c ice.Candidate, ok bool) {
	f := strings.Fields(value)
	if len(f) < 8 || f[6] != "typ" || !strings.EqualFold(f[2], "udp") {
		return 0, nil, false
	}
	component, err := strconv.Atoi(f[1])
	if err != nil || component < 1 || component > 256 {
		return 0, nil, false
	}
	priority, err := strconv.ParseUint(f[3], 10, 32)
	if err != nil {
		return 0, nil, false
	}
	addr, err := netip.ParseAddr(f[4])
	if err != nil {
		return 0, nil, false // a host name: jamid writes none, and we look nothing up for strangers
	}
	port, err := strconv.ParseUint(f[5], 10, 16)
	if err != nil || port == 0 {
		return 0, nil, false
	}
	const network = "udp"
	switch f[7] {
	case "host":
		c, err = ice.NewCandidateHost(&ice.CandidateHostConfig{Network: network, Address: addr.String(), Port: int(port),
			Component: 1, Priority: uint32(priority), Foundation: f[0]})
	case "srflx":
		c, err = ice.NewCandidateServerReflexive(&ice.CandidateServerReflexiveConfig{Network: network, Address: addr.String(),
			Port: int(port), Component: 1, Priority: uint32(priority), Foundation: f[0]})
	case "prflx":
		c, err = ice.NewCandidatePeerReflexive(&ice.CandidatePeerReflexiveConfig{Network: network, Address: addr.String(),
			Port: int(port), Component: 1, Priority: uint32(priority), Foundation: f[0]})
	case "relay":
		c, err = ice.NewCandidateRelay(&ice.CandidateRelayConfig{Network: network, Address: addr.String(), Port: int(port),
			Component: 1, Priority: uint32(priority), Foundation: f[0]})
	default:
		return 0, nil, false
	}
	return component, c, err == nil
}
