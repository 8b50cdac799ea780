package icetcp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Times of an attempt (RFC 6544 as pjnath keeps them).
const (
	dialTimeout  = 15 * time.Second
	redialAfter  = 500 * time.Millisecond
	maxDials     = 24
	writeTimeout = 5 * time.Second
	// nominateGrace is how long the controlling side waits, once a connection
	// works, for a better one or for the peer's own check.
	nominateGrace = 100 * time.Millisecond
	// lingerLosers is how long connections that were not chosen stay open: a
	// peer may still be reading our answers on them.
	lingerLosers = time.Second
	// maxLinks bounds the connections of one attempt.
	maxLinks = 24
)

// Config says how an Agent reaches the world.
type Config struct {
	// Listener takes the connections that the peer opens. Required.
	Listener *Listener
	// Controlling is the role to start in: the side that answers a Jami
	// connection request controls. A role conflict may change it.
	Controlling bool
	// Candidates lists the local addresses, as Gather returns them.
	Candidates []Candidate
	// Relay is an allocation on a TURN server that Candidates tells of, or
	// nil. The Agent owns it.
	Relay *Relay
	// AllowLoopback accepts the peer's loopback candidates; for tests.
	AllowLoopback bool
	// Refused is told the reason of every connection of this attempt that is
	// dropped for what it sent. May be nil; must not block.
	Refused func(reason string)
}

// Agent is one attempt to connect to one peer. Use it once: New, tell the peer
// Local, then Connect or Close.
type Agent struct {
	cfg        Config
	local      Description
	controller bool // the present role
	tieBreaker uint64

	inbound chan *link
	closed  chan struct{}
	once    sync.Once
}

// ErrClosed is returned by Connect after Close.
var ErrClosed = errors.New("icetcp: agent closed")

// New makes the credentials of an attempt and registers them with the
// Listener, so that the peer's checks find it.
func New(cfg Config) (*Agent, error) {
	if cfg.Refused == nil {
		cfg.Refused = func(string) {}
	}
	var b [24]byte
	rand.Read(b[:])
	a := &Agent{
		cfg:        cfg,
		controller: cfg.Controlling,
		tieBreaker: binary.BigEndian.Uint64(b[16:]),
		inbound:    make(chan *link, maxLinks),
		closed:     make(chan struct{}),
	}
	a.local = Description{
		Ufrag:      hex.EncodeToString(b[:4]),
		Password:   hex.EncodeToString(b[4:16]),
		Candidates: cfg.Candidates,
	}
	if err := cfg.Listener.register(a.local.Ufrag, a); err != nil {
		return nil, err
	}
	return a, nil
}

// Local is what the peer has to be told.
func (a *Agent) Local() Description { return a.local }

// Close abandons the attempt. A connection that Connect has returned lives on.
func (a *Agent) Close() error {
	a.once.Do(func() {
		close(a.closed)
		a.cfg.Listener.unregister(a.local.Ufrag)
		a.drain()
		if r := a.cfg.Relay; r != nil && !r.taken.Load() {
			r.Close()
		}
	})
	return nil
}

// incoming queues a connection for Connect. It reports false if the attempt
// has enough of them or is over.
func (a *Agent) incoming(l *link) bool {
	select {
	case <-a.closed:
		return false
	default:
	}
	select {
	case a.inbound <- l:
	default:
		return false
	}
	select {
	case <-a.closed: // Close may have drained before this one was queued
		a.drain()
	default:
	}
	return true
}

func (a *Agent) drain() {
	for {
		select {
		case l := <-a.inbound:
			l.conn.Close()
		default:
			return
		}
	}
}

// link is one TCP connection of an attempt while it is checked.
type link struct {
	conn     net.Conn
	br       *bufio.Reader
	first    []byte // the check that the Listener read already
	incoming bool
	from     *dial // what made it, unless incoming
	local    Candidate
	remote   Candidate

	proceed chan bool // the loop's answer to each frame: read on?

	asked         [12]byte // transaction of our outstanding check
	asking        bool
	askedRole     bool // the role it claimed
	askedNominate bool
	checked       bool // a check of ours was answered
	peerChecked   bool // a check of the peer's was answered
	peerNominated bool // it carried USE-CANDIDATE
	nominated     bool // chosen: this connection is the result
	workingSince  time.Time
	dead          bool
}

// unread puts a frame back in front of what is still to be read.
func (l *link) unread(frame []byte) {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(frame)))
	l.br = bufio.NewReader(io.MultiReader(bytes.NewReader(append(b, frame...)), l.br))
}

// event is what readers and dialers tell the loop.
type event struct {
	l     *link
	frame []byte
	err   error
	dial  *dial
}

// dial is one remote passive candidate that we connect to.
type dial struct {
	remote Candidate
	local  Candidate
	tries  int // by dialLoop only
	done   bool
}

// session is the state of a running Connect; its loop owns it all.
type session struct {
	*Agent
	ctx    context.Context
	remote Description
	events chan event
	wg     sync.WaitGroup
	links  []*link
	dials  []*dial
	chosen *link
}

// Connect checks with the peer's description until a connection is nominated
// and returns it; the role it ended in (Conn.Controlling) decides who is the
// TLS client. It ends with ctx at the latest, and closes the Agent.
func (a *Agent) Connect(ctx context.Context, remote Description) (*Conn, error) {
	defer a.Close()
	ctx, cancel := context.WithCancel(ctx)
	s := &session{Agent: a, ctx: ctx, remote: remote, events: make(chan event)}
	s.start()
	err := s.run()
	// Stop dialers and readers; then only the loop's own hands are on links.
	cancel()
	for _, l := range s.links {
		if l != s.chosen {
			l.conn.SetReadDeadline(time.Unix(1, 0))
		}
	}
	s.wg.Wait()
	var losers []net.Conn
	for _, l := range s.links {
		if l != s.chosen {
			losers = append(losers, l.conn)
		}
	}
	if err != nil {
		for _, c := range losers {
			c.Close()
		}
		return nil, err
	}
	c := newConn(s.chosen, a, losers)
	if a.cfg.Relay != nil && s.chosen.local.Type == Relayed {
		c.relay = a.cfg.Relay
		c.relay.taken.Store(true)
	}
	return c, nil
}

// start dials every remote passive candidate of a family that we have, and
// lets the peer in at the relay.
func (s *session) start() {
	for _, rc := range s.remote.Candidates {
		if rc.TCPType != Passive || !s.reachable(rc.Addr.Addr()) {
			continue
		}
		d := &dial{remote: rc, local: s.activeFor(rc.Addr.Addr())}
		s.dials = append(s.dials, d)
		s.wg.Add(1)
		go s.dialLoop(d, 0)
	}
	if s.cfg.Relay != nil {
		s.wg.Add(1)
		go s.relayLoop(s.cfg.Relay)
	}
}

// reachable filters addresses no honest peer offers, so that a request cannot
// be used to make us talk to ourselves.
func (s *session) reachable(ip netip.Addr) bool {
	if ip.IsLoopback() {
		return s.cfg.AllowLoopback
	}
	return ip.IsValid() && !ip.IsUnspecified() && !ip.IsMulticast() && !ip.IsLinkLocalUnicast()
}

// activeFor finds our active candidate for a remote address of this family.
func (s *session) activeFor(ip netip.Addr) Candidate {
	for _, c := range s.local.Candidates {
		if c.TCPType == Active && c.Type == Host && c.Addr.Addr().Is4() == ip.Is4() {
			return c
		}
	}
	return newCandidate(maxCandidates, PeerReflexive, Active, netip.AddrPortFrom(ip, discardPort))
}

func (s *session) send(e event) bool {
	select {
	case s.events <- e:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// dialLoop connects to one candidate, again and again while it is refused: the
// peer may not listen yet, or its relay not know us yet.
func (s *session) dialLoop(d *dial, wait time.Duration) {
	defer s.wg.Done()
	dialer := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: keepAlive}
	for ; d.tries < maxDials; wait = redialAfter {
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
			return
		}
		d.tries++
		conn, err := dialer.DialContext(s.ctx, "tcp", d.remote.Addr.String())
		if err == nil {
			tune(conn)
			if !s.send(event{l: &link{conn: conn, local: d.local, remote: d.remote, from: d}, dial: d}) {
				conn.Close()
			}
			return
		}
	}
	s.send(event{dial: d, err: errors.New("icetcp: candidate does not answer")})
}

// relayLoop takes connections that reach the TURN server for us.
func (s *session) relayLoop(r *Relay) {
	defer s.wg.Done()
	for {
		conn, err := r.accept(s.ctx, s.remote)
		if err != nil {
			return
		}
		l := &link{conn: conn, remote: prflx(conn.RemoteAddr()), local: r.candidate, incoming: true}
		if !s.send(event{l: l}) {
			conn.Close()
			return
		}
	}
}

// read passes the frames of one connection to the loop, one at a time: it asks
// before it reads on, so that nothing is read past the nomination.
func (s *session) read(l *link) {
	defer s.wg.Done()
	if l.first != nil {
		f := l.first
		l.first = nil
		if !s.send(event{l: l, frame: f}) || !<-l.proceed {
			return
		}
	}
	for {
		f, err := readCheck(l.br)
		if !s.send(event{l: l, frame: f, err: err}) || err != nil || !<-l.proceed {
			return
		}
	}
}

// run is the loop that owns the session. It returns with s.chosen set or an
// error.
func (s *session) run() error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if s.chosen != nil {
			return nil
		}
		if wait, ok := s.nominate(); ok {
			timer.Reset(wait)
		}
		select {
		case <-s.ctx.Done():
			return fmt.Errorf("icetcp: no connection (%d tried): %w", len(s.links), context.Cause(s.ctx))
		case <-s.closed:
			return ErrClosed
		case <-timer.C:
		case l := <-s.inbound:
			l.local = s.passiveFor(l)
			s.add(l)
		case e := <-s.events:
			switch {
			case e.l == nil:
				e.dial.done = true
			case e.dial != nil || e.frame == nil && e.err == nil: // a new connection
				if e.dial != nil {
					e.dial.done = true
				}
				s.add(e.l)
			case e.err != nil:
				s.lost(e.l, e.err)
			default:
				on := s.handle(e.l, e.frame)
				e.l.proceed <- on
			}
		}
	}
}

// lost removes a connection that has ended, and tries once more if it was ours
// and nothing had come of it.
func (s *session) lost(l *link, err error) {
	l.dead = true
	l.conn.Close()
	s.links = slices.DeleteFunc(s.links, func(o *link) bool { return o == l })
	if errors.Is(err, errLongCheck) {
		s.cfg.Refused(RefusedEarlyData)
		return
	}
	if d := l.from; d != nil && !l.checked {
		d.done = false
		s.wg.Add(1)
		go s.dialLoop(d, redialAfter)
	}
}

// passiveFor finds the local candidate an incoming connection came to.
func (s *session) passiveFor(l *link) Candidate {
	at := addrPort(l.conn.LocalAddr()).Addr()
	for _, c := range s.local.Candidates {
		if c.TCPType == Passive && c.Addr.Addr() == at {
			return c
		}
	}
	return newCandidate(0, Host, Passive, addrPort(l.conn.LocalAddr()))
}

// add starts checking on a connection.
func (s *session) add(l *link) {
	if len(s.links) >= maxLinks {
		s.cfg.Refused(RefusedFull)
		l.conn.Close()
		return
	}
	if l.incoming {
		// The peer's active candidate of that address, if it told of one,
		// else peer-reflexive.
		for _, rc := range s.remote.Candidates {
			if rc.TCPType == Active && rc.Addr.Addr() == l.remote.Addr.Addr() {
				rc.Addr = l.remote.Addr
				l.remote = rc
				break
			}
		}
	}
	if l.br == nil {
		l.br = bufio.NewReader(l.conn)
	}
	l.proceed = make(chan bool, 1)
	s.links = append(s.links, l)
	s.wg.Add(1)
	go s.read(l)
	if !l.incoming {
		s.ask(l, false)
	}
}

// ask sends a check on a connection.
func (s *session) ask(l *link, nominate bool) {
	// PRIORITY is that of a peer-reflexive candidate with our local preference.
	pref, _ := PeerReflexive.preference()
	m, err := check{
		local: s.local, remote: s.remote,
		controlling: s.controller, tieBreaker: s.tieBreaker,
		priority:     pref<<24 | l.local.Priority&0xffffff,
		useCandidate: nominate,
	}.build()
	if err != nil {
		l.dead = true
		return
	}
	l.asked, l.asking, l.askedRole, l.askedNominate = m.TransactionID, true, s.controller, nominate
	s.write(l, m.Raw)
}

func (s *session) write(l *link, b []byte) {
	l.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err := writeFrame(l.conn, b); err != nil {
		l.dead = true
	}
}

// priority of the pair, from the present roles.
func (s *session) priority(l *link) uint64 {
	if s.controller {
		return pairPriority(l.local.Priority, l.remote.Priority)
	}
	return pairPriority(l.remote.Priority, l.local.Priority)
}

// nominate, on the controlling side, picks the best connection that works. It
// returns how long to wait before it has to be called again.
func (s *session) nominate() (time.Duration, bool) {
	if !s.controller {
		return 0, false
	}
	var best *link
	var since time.Time
	open := false // something better may still come
	for _, d := range s.dials {
		open = open || !d.done
	}
	for _, l := range s.links {
		switch {
		case l.dead:
		case l.askedNominate && l.asking:
			return 0, false // one at a time
		case !l.checked:
			open = true
		default:
			open = open || !l.peerChecked
			if since.IsZero() || l.workingSince.Before(since) {
				since = l.workingSince
			}
			if best == nil || s.priority(l) > s.priority(best) {
				best = l
			}
		}
	}
	if best == nil {
		return 0, false
	}
	if wait := nominateGrace - time.Since(since); open && wait > 0 {
		return wait, true
	}
	s.ask(best, true)
	return 0, false
}
