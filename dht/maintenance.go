package dht

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"time"

	"rendezvous/dht/wire"
)

const (
	// Joining is tried again after firstRejoin, then ever more rarely up to lastRejoin.
	firstRejoin = 2 * time.Second
	lastRejoin  = 2 * time.Minute
	// farAtJoining is how many nodes a newcomer asks from afar each time it looks again.
	farAtJoining = 4
	// joinPings bounds the known nodes asked in one attempt to join.
	joinPings = 32
	// A bucket whose nodes have not answered for bucketStale is looked after; so is a node not heard of for peerStale.
	bucketStale = 10 * time.Minute
	peerStale   = 6 * time.Minute
	// pruneAfter is how long a node that stopped answering keeps its place.
	pruneAfter = 2 * time.Hour
	// republishEvery is how often MaintainStorage looks for new nodes.
	republishEvery = 10 * time.Minute
)

// upkeep is the state of what the engine does on its own account.
type upkeep struct {
	resolve     func()      // looks the bootstrap names up and calls engine.bootstrap with their addresses
	save        func(state) // writes the state file
	known       []wire.Node // of the state file
	rejoin      *timer
	backoff     time.Duration
	online      [numFamilies]bool
	waiting     []chan struct{} // of WaitConnected
	confirm     *timer
	partials    *timer
	attempted   map[*bucket]time.Time
	republished time.Time // when MaintainStorage last looked
}

// begin starts all upkeep.
func (e *engine) begin() {
	u := &e.upkeep
	u.backoff = firstRejoin
	u.attempted = map[*bucket]time.Time{}
	u.rejoin = e.timers.at(e.now, e.join)
	u.confirm = e.timers.at(e.now.Add(spread(3*time.Second, 5*time.Second)), e.confirm)
	e.every(func() time.Duration { return spread(15*time.Minute, 45*time.Minute) }, e.tokens.rotate)
	e.every(func() time.Duration { return spread(2*time.Minute, 6*time.Minute) }, e.sweep)
	e.every(func() time.Duration { return 5 * time.Minute }, func() { u.save(e.state()) })
	if e.cfg.MaintainStorage {
		e.every(func() time.Duration { return republishEvery }, e.republish)
	}
}

// every repeats a call.
func (e *engine) every(wait func() time.Duration, call func()) {
	var tm *timer
	tm = e.timers.at(e.now.Add(wait()), func() {
		call()
		e.timers.move(tm, e.now.Add(wait()))
	})
}

// connected reports whether a node of the family answered lately.
func (e *engine) connected(f family) bool { return e.upkeep.online[f] }

func (e *engine) anyConnected() bool { return e.connected(ipv4) || e.connected(ipv6) }

// joining reports whether there is somebody through whom we may still get to know other nodes.
func (e *engine) joining() bool {
	return len(e.cfg.Bootstrap) > 0 || len(e.upkeep.known) > 0 || len(e.anonymous) > 0 ||
		len(e.peers[ipv4].byID)+len(e.peers[ipv6].byID) > 0
}

// checkStatus notices when a family gets its first good node or loses the last.
func (e *engine) checkStatus(f family) {
	u := &e.upkeep
	good, _ := e.tables[f].count(e.now)
	online := good > 0
	if online == u.online[f] {
		return
	}
	u.online[f] = online
	if !online {
		e.log.Info("lost the DHT", "family", f.String())
		u.backoff = firstRejoin
		e.timers.move(u.rejoin, e.now)
		return
	}
	e.log.Info("joined the DHT", "family", f.String())
	for _, w := range u.waiting {
		close(w)
	}
	u.waiting = nil
	for _, s := range e.searches[f] {
		if !s.idle() {
			s.refilled = time.Time{}
			s.soon()
		}
	}
	e.findSelf()
	// Whoever joins at the same time is found when looking again.
	for _, later := range []time.Duration{time.Second, 5 * time.Second, 15 * time.Second, 45 * time.Second} {
		e.timers.at(e.now.Add(later), func() {
			e.findSelf()
			e.fillBuckets(f)
			e.askAfar(f, farAtJoining)
		})
	}
	e.timers.move(u.confirm, e.now.Add(spread(time.Second, 3*time.Second)))
}

// join asks for a way into every family that has none, and comes back until it is found.
func (e *engine) join() {
	u := &e.upkeep
	missing := false
	for _, f := range e.families() {
		e.checkStatus(f)
		missing = missing || !e.connected(f)
	}
	if !missing {
		u.backoff = firstRejoin
		return
	}
	u.resolve()
	asked := 0
	for _, n := range u.known {
		f := familyOf(n.Addr.Addr())
		if e.conns[f] == nil || e.connected(f) || asked == joinPings {
			continue
		}
		if p := e.peers[f].intern(n.ID, n.Addr, e.now); p != nil && p.heard.IsZero() {
			e.ping(p)
			asked++
		}
	}
	for _, f := range e.families() {
		if e.connected(f) {
			continue
		}
		for _, p := range e.peers[f].closest(randomKey(), joinPings, func(p *peer) bool { return !p.client }) {
			e.ping(p)
		}
	}
	e.timers.move(u.rejoin, e.now.Add(u.backoff))
	u.backoff = min(2*u.backoff, lastRejoin)
}

// bootstrap asks whoever lives at the addresses to let us in.
func (e *engine) bootstrap(addrs []netip.AddrPort) {
	for _, a := range addrs {
		f := familyOf(a.Addr())
		if e.conns[f] == nil || isMartian(a) {
			continue
		}
		if !slices.ContainsFunc(anonymousTo(e, a), func(r *request) bool { return r.method == wire.Ping }) {
			e.askUnknown(a, &wire.Message{Method: wire.Ping}, handler{})
		}
	}
}

func anonymousTo(e *engine, a netip.AddrPort) []*request {
	var found []*request
	for _, r := range e.anonymous {
		if r.addr == a {
			found = append(found, r)
		}
	}
	return found
}

// findSelf searches for our own id: it makes us known to the nodes we belong to, and them to us.
func (e *engine) findSelf() {
	op := &getOp{
		query: &wire.Query{Select: []wire.Field{wire.FieldID}},
		box:   newMailbox[packedValue](1, &e.metrics.eventsDropped),
		seed:  maphash.MakeSeed(),
		seen:  map[uint64]struct{}{},
	}
	op.start(e, e.id)
}

// fillBuckets looks for nodes for every bucket that has room.
func (e *engine) fillBuckets(f family) {
	t := e.tables[f]
	for i, b := range t.buckets {
		if len(b.peers) == bucketSize {
			continue
		}
		target := t.randomID(i)
		for _, p := range t.closest(target, 1, func(p *peer) bool { return p.expired.IsZero() }) {
			e.findAt(p, target, 1)
		}
	}
}

// askAfar asks n nodes anywhere in the table for those near us. Those who join a neighbourhood at the same time
// may know one half of it and be known to that half alone: a search, which begins with the nearest, stays among
// them, while nodes far away know some of each.
func (e *engine) askAfar(f family, n int) {
	for _, p := range e.tables[f].closest(randomKey(), n, func(p *peer) bool { return p.expired.IsZero() }) {
		e.findAt(p, e.id, 2)
	}
}

// findAt asks one node for those near target, and the nearest of them again, depth times.
func (e *engine) findAt(p *peer, target Key, depth int) {
	if len(p.requests) >= maxRequestsPerPeer {
		return
	}
	m := &wire.Message{Method: wire.Find, Target: target, Want: wire.IPv4 | wire.IPv6}
	e.ask(p, m, nil, handler{reply: func(m *wire.Message, _ [][]byte) {
		for _, f := range e.families() {
			for i, n := range e.listed(p, m, f) {
				q := e.peers[f].intern(n.ID, n.Addr, e.now)
				if q == nil || q.addr != n.Addr || !q.heard.IsZero() || !q.worthTrying(e.now) {
					continue
				}
				if depth > 1 && i < 4 {
					e.findAt(q, target, depth-1)
				} else {
					e.ping(q)
				}
			}
		}
	}})
}

// confirm keeps the routing table true: it looks after buckets and nodes that nothing was heard of, and when there is
// nothing to do, after our own neighbourhood.
func (e *engine) confirm() {
	worked := false
	for _, f := range e.families() {
		worked = e.confirmFamily(f) || worked
	}
	if !worked {
		for _, f := range e.families() {
			near := e.id
			near[len(near)-1] ^= 1 + byte(e.now.Nanosecond()%255)
			for _, p := range e.tables[f].closest(e.id, 1, func(p *peer) bool { return p.expired.IsZero() }) {
				e.findAt(p, near, 1)
			}
			e.askAfar(f, 1)
		}
	}
	wait := spread(time.Minute, 3*time.Minute)
	if worked {
		wait = spread(5*time.Second, 25*time.Second)
	}
	e.timers.move(e.upkeep.confirm, e.now.Add(wait))
}

func (e *engine) confirmFamily(f family) bool {
	worked := false
	t := e.tables[f]
	for i, b := range t.buckets {
		if e.now.Sub(b.confirmed) < bucketStale || e.now.Sub(e.upkeep.attempted[b]) < bucketStale {
			continue
		}
		target := t.randomID(i)
		for _, p := range t.closest(target, 1, func(p *peer) bool { return p.expired.IsZero() }) {
			e.upkeep.attempted[b] = e.now
			e.findAt(p, target, 1)
			worked = true
		}
	}
	stale := t.closest(randomKey(), 4*bucketSize, func(p *peer) bool {
		return p.expired.IsZero() && (e.now.Sub(p.heard) > peerStale || e.now.Sub(p.replied) > goodReplied-bucketStale)
	})
	for _, p := range stale {
		e.ping(p)
	}
	e.checkStatus(f)
	return worked
}

// sweep forgets what is of no use any longer.
func (e *engine) sweep() {
	e.store.expireListeners(e.now)
	for f := range numFamilies {
		e.tables[f].prune(e.now, pruneAfter)
		for _, s := range e.searches[f] {
			if s.idle() && e.now.Sub(s.used) > searchIdle {
				s.remove()
			}
		}
		for id, p := range e.peers[f].byID {
			if p.refs == 0 && len(p.requests) == 0 && len(p.sockets) == 0 && e.now.Sub(p.heard) > pruneAfter &&
				e.now.Sub(p.expired) > pruneAfter {
				delete(e.peers[f].byID, id)
			}
		}
		if e.conns[f] != nil {
			e.checkStatus(f)
		}
	}
}

// watchPartials keeps a timer running while fragments are awaited.
func (e *engine) watchPartials() {
	u := &e.upkeep
	if len(e.partials.byKey) == 0 || u.partials != nil && u.partials.index >= 0 {
		return
	}
	expire := func() { e.partials.expire(e.now) }
	u.partials = e.timers.at(e.now.Add(time.Second), expire)
}

// connectivityChanged makes us look at everything anew: the buckets, our addresses, and all tokens, which are bound to
// the address they were given to.
func (e *engine) connectivityChanged() {
	e.log.Info("network changed, checking all nodes again")
	clear(e.reported)
	clear(e.upkeep.attempted)
	for _, f := range e.families() {
		for _, b := range e.tables[f].buckets {
			b.confirmed = time.Time{}
			for _, p := range b.peers {
				e.ping(p)
			}
		}
		for _, s := range e.searches[f] {
			for _, c := range s.candidates {
				c.tokenUntil = time.Time{}
				for _, at := range c.listens {
					at.due = time.Time{}
				}
			}
			s.refilled = time.Time{}
			s.soon()
		}
	}
	e.upkeep.backoff = firstRejoin
	e.timers.move(e.upkeep.rejoin, e.now)
	e.timers.move(e.upkeep.confirm, e.now)
}

// republish puts the values we keep for others on nodes that came up near their keys.
func (e *engine) republish() {
	for key, sl := range e.store.byKey {
		var newest time.Time
		for _, f := range e.families() {
			for _, p := range e.tables[f].closest(key, searchReach, func(p *peer) bool { return p.isGood(e.now) }) {
				newest = maxTime(newest, p.since)
			}
		}
		for _, v := range sl.values {
			if newest.After(maxTime(v.created(), e.upkeep.republished)) {
				e.republishValue(key, v)
			}
		}
	}
	e.upkeep.republished = e.now
}

func (e *engine) republishValue(key Key, v *stored) {
	if v.usage.own || v.expires().Sub(e.now) < republishEvery/2 {
		return // its publisher is here, or it is about to go
	}
	op := &putOp{key: key, id: v.id, packed: v.packed, life: v.life(), created: v.created(), copied: true, result: newResult()}
	op.start(e)
}
