package connection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rendezvous/dht"
	"rendezvous/dht/identity"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/connection/icetcp"
	"rendezvous/signalling/jami/connection/tlsconn"
)

// answer serves a request of another device for a connection. There is no
// negative answer: whoever is refused hears nothing.
func (e *Endpoint) answer(g generation, owner *value.PublicKey, q request) {
	start := time.Now()
	result := "failed"
	defer func() { e.cfg.Metrics.attempt("peer", result) }()
	from := identity.IDsOf(owner)
	remote, err := icetcp.ParseDescription(q.ice)
	if err != nil {
		e.refuse(refusedMalformed, from.String(), err)
		return
	}
	peer, err := e.findPeer(e.ctx, from)
	if err != nil {
		reason := refusedChain
		if errors.Is(err, dht.ErrNotFound) || errors.Is(err, context.DeadlineExceeded) {
			reason = refusedNoCert
		}
		e.refuse(reason, from.String(), err)
		return
	}
	allowed := func() error {
		if e.cfg.Allow != nil && !e.cfg.Allow(peer, q.connType) {
			e.refuse(refusedNotAllowed, peer.Account.String(), nil)
			return errNotAllowed
		}
		return nil
	}
	if allowed() != nil {
		return
	}
	e.log.Debug("jami: request", "peer", peer.Account, "device", from, "kind", q.connType, "looked_up", time.Since(start))
	agent, err := e.newAgent(e.ctx, true)
	if err != nil {
		e.log.Error("jami: answering a request", "peer", from, "error", err)
		return
	}
	// The peer starts when it has the answer; we can start at once.
	reply := request{id: q.id, ice: agent.Local().String(), answer: true}
	e.spawn(func() {
		if err := e.put(g, owner, from, reply); err != nil {
			e.log.Warn("jami: sending an answer", "peer", from, "error", err)
		}
		e.log.Debug("jami: answer sent", "device", from, "after", time.Since(start))
	})
	err = e.establish(e.ctx, agent, remote, peer, allowed, start)
	if err != nil {
		e.log.Info("jami: connection failed", "device", from, "peer", peer.Account, "asked_by", "peer", "error", err)
		return
	}
	result = "connected"
}

// ask asks a device for a connection and makes it.
func (e *Endpoint) ask(ctx context.Context, to identity.KeyIDs, connType string) (err error) {
	start := time.Now()
	defer func() {
		result := "connected"
		if err != nil {
			result = "failed"
		}
		e.cfg.Metrics.attempt("us", result)
	}()
	peer, err := e.findPeer(ctx, to)
	if err != nil {
		return err
	}
	agent, err := e.newAgent(ctx, false)
	if err != nil {
		return err
	}
	defer agent.Close()
	q := request{id: e.requests.next(), ice: agent.Local().String(), connType: connType}
	key := requestKey{peer.Device.Long, q.id, true}
	answers := make(chan request, 1)
	e.mu.Lock()
	e.pending[key] = answers
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.pending, key)
		e.mu.Unlock()
	}()
	// Old and new daemons listen at different keys; a request at both is
	// handled once, for its id.
	owner := peer.Chain.Leaf().PublicKey
	for _, g := range []generation{legacy, current} {
		e.spawn(func() {
			if err := e.put(g, owner, peer.Device, q); err != nil {
				e.log.Debug("jami: sending a request", "peer", peer.Device, "error", err)
			}
		})
	}
	timer := time.NewTimer(answerTimeout)
	defer timer.Stop()
	select {
	case a := <-answers:
		remote, err := icetcp.ParseDescription(a.ice)
		if err != nil {
			e.refuse(refusedMalformed, peer.Device.String(), err)
			return err
		}
		// It is made also if nobody here waits for it any more, because the device has asked for one as well and that was up
		// before: from its answer on the device counts on this one, and a channel that it opens in it would be lost.
		return e.establish(e.ctx, agent, remote, peer, func() error { return nil }, start)
	case <-timer.C:
		return fmt.Errorf("%w: %s within %v", ErrNoAnswer, peer.Device, answerTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// put sends a request or an answer.
func (e *Endpoint) put(g generation, to *value.PublicKey, ids identity.KeyIDs, q request) error {
	v := &dht.Value{ID: value.RandomID(), Type: value.UserData, UserType: requestUserType, Data: q.pack()}
	ctx, cancel := context.WithTimeout(e.ctx, answerTimeout)
	defer cancel()
	return e.cfg.DHT.PutEncrypted(ctx, e.cfg.Identity, to, g.peerKey(ids.Short, ids.Long), v)
}

// findPeer looks a device up and verifies whose it is.
func (e *Endpoint) findPeer(ctx context.Context, id identity.KeyIDs) (Peer, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	chain, err := e.cfg.DHT.FindCertificate(ctx, id)
	if err != nil {
		return Peer{}, fmt.Errorf("connection: certificate of %s: %w", id, err)
	}
	leaf := chain.Leaf()
	if leaf == nil || !id.Match(leaf) {
		return Peer{}, fmt.Errorf("connection: certificate of %s: %w: another device's", id, identity.ErrChain)
	}
	if err := chain.Verify(e.cfg.Now()); err != nil {
		return Peer{}, fmt.Errorf("connection: certificate of %s: %w", id, err)
	}
	return newPeer(chain)
}

func (e *Endpoint) newAgent(ctx context.Context, controlling bool) (*icetcp.Agent, error) {
	cands, relay, err := e.cfg.Gatherer.Gather(ctx)
	if err != nil {
		return nil, fmt.Errorf("connection: gathering addresses: %w", err)
	}
	a, err := icetcp.New(icetcp.Config{
		Listener:      e.cfg.Listener,
		Controlling:   controlling,
		Candidates:    cands,
		Relay:         relay,
		AllowLoopback: e.cfg.AllowLoopback,
		Refused:       e.cfg.Metrics.refuse,
	})
	if err != nil && relay != nil {
		relay.Close()
	}
	return a, err
}

var errNotAllowed = errors.New("connection: peer is not allowed")

// establish negotiates, authenticates and adds the connection, if it is still
// allowed then.
func (e *Endpoint) establish(ctx context.Context, agent *icetcp.Agent, remote icetcp.Description, peer Peer,
	allowed func() error, start time.Time) error {
	nctx, cancel := context.WithTimeout(ctx, negotiateTimeout)
	conn, err := agent.Connect(nctx, remote)
	cancel()
	if err != nil {
		return fmt.Errorf("connection: %w", err)
	}
	e.log.Debug("jami: connection nominated", "device", peer.Device, "address", conn.RemoteAddr(), "after", time.Since(start))
	secure, chain, err := tlsconn.Handshake(ctx, conn, tlsconn.Config{
		Client: conn.Controlling(),
		Own:    e.cfg.Identity,
		Peer:   peer.Device,
		Now:    e.cfg.Now,
	})
	if err != nil {
		conn.Close()
		if errors.Is(err, tlsconn.ErrPeer) {
			e.refuse(refusedTLS, peer.Device.String(), err)
		}
		return fmt.Errorf("connection: %w", err)
	}
	// What counts is the chain that was presented with the key.
	proven, err := newPeer(chain)
	if err == nil && proven.Account != peer.Account {
		err = fmt.Errorf("connection: account %s instead of %s", proven.Account, peer.Account)
	}
	if err != nil {
		secure.Close()
		e.refuse(refusedTLS, peer.Device.String(), err)
		return err
	}
	if err := allowed(); err != nil {
		secure.Close()
		return err
	}
	return e.add(secure, conn, proven, start)
}
