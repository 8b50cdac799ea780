package connection

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/connection/icetcp"
	"rendezvous/signalling/jami/connection/mux"
)

// device is what we have with one device of a peer. Endpoint.mu guards it.
type device struct {
	sessions []*session // oldest first
	asking   *asking
	changed  chan struct{} // closed and renewed when a session was added
}

// session is a connection that is up.
type session struct {
	*mux.Session
	peer Peer
	wire *icetcp.Conn // below TLS
}

// asking is an attempt of ours that several callers may wait for. It is given
// up when none of them does any more, unless the device has answered by then.
type asking struct {
	done    chan struct{}
	err     error // valid once done is closed
	waiting int   // guarded by Endpoint.mu
	cancel  context.CancelFunc
}

// deviceLocked returns the entry of a device; e.mu is held.
func (e *Endpoint) deviceLocked(id value.LongID) *device {
	d := e.devices[id]
	if d == nil {
		d = &device{changed: make(chan struct{})}
		e.devices[id] = d
	}
	return d
}

// tidyLocked drops the entry of a device with which there is nothing.
func (e *Endpoint) tidyLocked(id value.LongID) {
	if d := e.devices[id]; d != nil && len(d.sessions) == 0 && d.asking == nil {
		delete(e.devices, id)
	}
}

// add takes a fresh connection into service.
func (e *Endpoint) add(conn net.Conn, wire *icetcp.Conn, peer Peer, start time.Time) error {
	s := &session{peer: peer, wire: wire}
	id := peer.Device.Long
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		conn.Close()
		return ErrClosed
	}
	d := e.deviceLocked(id)
	var victim *session
	switch {
	case len(d.sessions) >= maxSessionsDevice:
		victim = d.sessions[0]
	case e.sessions >= maxSessions:
		if victim = e.idlestLocked(); victim == nil {
			e.tidyLocked(id)
			e.mu.Unlock()
			conn.Close()
			e.refuse(refusedFull, peer.Account.String(), nil)
			return errors.New("connection: too many connections")
		}
	}
	s.Session = mux.New(conn, mux.Config{
		TLSClient:  wire.Controlling(),
		Accept:     func(name string) (func(*mux.Channel), bool) { return e.accept(peer, name) },
		Unanswered: func() { e.abandon(s) },
		Dropped: func(reason string) {
			switch reason {
			case mux.DroppedUnknown, mux.DroppedDeclined: // happens between honest peers
				e.cfg.Metrics.refuse(reason)
			default:
				e.refuse(reason, peer.Device.String(), nil)
			}
		},
	})
	d.sessions = append(d.sessions, s)
	close(d.changed)
	d.changed = make(chan struct{})
	e.sessions++
	e.wg.Go(func() { e.watch(s) })
	e.mu.Unlock()
	if victim != nil {
		victim.Abort()
	}
	e.cfg.Metrics.up(1, time.Since(start).Seconds())
	e.log.Info("jami: connected", "peer", peer.Account, "device", peer.Device, "address", conn.RemoteAddr(), "after", time.Since(start).Round(time.Millisecond))
	return nil
}

// idlestLocked finds the connection without channels that has been silent the
// longest, or nil: it makes room when there are too many. e.mu is held.
func (e *Endpoint) idlestLocked() *session {
	var idlest *session
	for _, d := range e.devices {
		for _, s := range d.sessions {
			if s.Channels() == 0 && (idlest == nil || s.Silence() > idlest.Silence()) {
				idlest = s
			}
		}
	}
	return idlest
}

// watch removes a session when it has ended, and waits for its channels.
func (e *Endpoint) watch(s *session) {
	<-s.Done()
	id := s.peer.Device.Long
	e.mu.Lock()
	if d := e.devices[id]; d != nil {
		d.sessions = slices.DeleteFunc(d.sessions, func(o *session) bool { return o == s })
		e.tidyLocked(id)
	}
	e.sessions--
	e.mu.Unlock()
	e.cfg.Metrics.up(-1, 0)
	e.log.Info("jami: disconnected", "peer", s.peer.Account, "device", s.peer.Device, "reason", s.Err())
	s.Close()
	e.mourn(s)
}

// newest returns the latest live session with a device, or nil.
func (e *Endpoint) newest(id value.LongID) *session {
	e.mu.Lock()
	defer e.mu.Unlock()
	if d := e.devices[id]; d != nil && len(d.sessions) > 0 {
		return d.sessions[len(d.sessions)-1]
	}
	return nil
}

// Connected lists the devices with which a connection is up.
func (e *Endpoint) Connected() []Peer {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []Peer
	for _, d := range e.devices {
		if len(d.sessions) > 0 {
			out = append(out, d.sessions[0].peer)
		}
	}
	return out
}

// Disconnect ends the connections with all peers that match. It does not wait.
func (e *Endpoint) Disconnect(match func(Peer) bool) {
	e.mu.Lock()
	var victims []*session
	for _, d := range e.devices {
		for _, s := range d.sessions {
			if match(s.peer) {
				victims = append(victims, s)
			}
		}
	}
	e.mu.Unlock()
	for _, s := range victims {
		s.Abort()
	}
}

// OpenChannel opens a channel to a device, over the connection there is or a
// new one, and returns when the device has accepted it. connType is told to the
// device with the request for a connection ("videoCall", "audioCall", "sync",
// a MIME type, or empty). The error is mux.ErrDeclined if the device does not
// want the channel, ErrNoAnswer if it does not want (or hear of) the
// connection.
func (e *Endpoint) OpenChannel(ctx context.Context, to identity.KeyIDs, name, connType string) (*Channel, error) {
	if to.Long.IsZero() {
		p, err := e.findPeer(ctx, to)
		if err != nil {
			return nil, err
		}
		to = p.Device
	}
	for {
		s, err := e.session(ctx, to, connType)
		if err != nil {
			return nil, fmt.Errorf("connection: channel %q to %s: %w", name, to, err)
		}
		c, err := s.Open(ctx, name)
		if err == nil {
			e.cfg.Metrics.channel("us")
			return &Channel{c, s.peer}, nil
		}
		select {
		case <-s.Done(): // the connection was dead already: make a new one
			if ctx.Err() == nil && e.ctx.Err() == nil {
				continue
			}
		default:
		}
		return nil, fmt.Errorf("connection: channel %q to %s: %w", name, to, err)
	}
}

// session returns a connection to the device that is known to live, making one
// if need be.
func (e *Endpoint) session(ctx context.Context, to identity.KeyIDs, connType string) (*session, error) {
	for {
		if s := e.newest(to.Long); s != nil {
			if s.Silence() < trustSilence || s.Ping(ctx) == nil {
				return s, nil
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			e.forget(s)
			continue
		}
		if err := e.await(ctx, to, connType); err != nil {
			return nil, err
		}
	}
}

// await returns when a connection to the device has come about: by our asking,
// or one that the device asked for meanwhile.
func (e *Endpoint) await(ctx context.Context, to identity.KeyIDs, connType string) error {
	a, changed, err := e.startAsking(to, connType)
	if err != nil || a == nil {
		return err
	}
	defer e.leave(a)
	select {
	case <-changed:
		return nil
	case <-a.done:
		if a.err != nil && e.newest(to.Long) == nil {
			return a.err
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-e.ctx.Done():
		return ErrClosed
	}
}

// leave ends an attempt that nobody waits for, unless it has been answered.
func (e *Endpoint) leave(a *asking) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a.waiting--; a.waiting == 0 {
		a.cancel()
	}
}

// forget takes a dead session out of service before watch gets to it.
func (e *Endpoint) forget(s *session) {
	s.Abort()
	e.mu.Lock()
	defer e.mu.Unlock()
	if d := e.devices[s.peer.Device.Long]; d != nil {
		d.sessions = slices.DeleteFunc(d.sessions, func(o *session) bool { return o == s })
	}
}

// startAsking joins the attempt to reach a device, or starts one. The attempt is
// nil if there is a connection already.
func (e *Endpoint) startAsking(to identity.KeyIDs, connType string) (*asking, <-chan struct{}, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, nil, ErrClosed
	}
	d := e.deviceLocked(to.Long)
	if len(d.sessions) > 0 {
		return nil, nil, nil
	}
	// An attempt that everybody has left is on its way out.
	if d.asking == nil || d.asking.waiting == 0 {
		ctx, cancel := context.WithCancel(e.ctx)
		a := &asking{done: make(chan struct{}), cancel: cancel}
		d.asking = a
		e.wg.Go(func() {
			a.err = e.ask(ctx, to, connType)
			cancel()
			e.mu.Lock()
			if d.asking == a {
				d.asking = nil
				e.tidyLocked(to.Long)
			}
			e.mu.Unlock()
			close(a.done)
		})
	}
	d.asking.waiting++
	return d.asking, d.changed, nil
}
