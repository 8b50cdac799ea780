package icetcp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

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
