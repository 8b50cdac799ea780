package dht

import (
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"rendezvous/dht/value"
	"rendezvous/dht/wire"
)

func randomKey() Key { return value.RandomKey() }

// engine is the node's state and the rules by which it changes. One goroutine owns it: everything in it runs in
// response to a packet, a timer or a command, and never waits.
type engine struct {
	id      Key
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	conns   [numFamilies]packetConn // nil where the family is not used
	jobs    chan<- job

	now       time.Time
	began     time.Time
	timers    timers
	tokens    *tokens
	proofs    *proofs
	peers     [numFamilies]*peers
	tables    [numFamilies]*table
	searches  [numFamilies]map[Key]*search
	anonymous map[uint32]*request
	partials  *partials
	store     *store
	expiry    *timer // of the store's next value
	upkeep    upkeep
	reported  map[netip.Addr]int // how often others said they see us there
}

// job is work for the crypto workers: do runs there, then runs in the engine afterwards.
type job struct {
	do   func()
	then func(*engine)
}

func newEngine(id Key, cfg Config, log *slog.Logger, m *metrics, conns [numFamilies]packetConn, jobs chan<- job) *engine {
	e := &engine{
		id: id, cfg: cfg, log: log, metrics: m, conns: conns, jobs: jobs,
		now:       time.Now(),
		tokens:    newTokens(),
		proofs:    newProofs(),
		anonymous: map[uint32]*request{},
		partials:  newPartials(cfg.Limits, m),
		store:     newStore(cfg.Limits, m),
		reported:  map[netip.Addr]int{},
	}
	e.began = e.now
	e.store.notify = e.changed
	for f := range numFamilies {
		e.peers[f] = newPeers(cfg.Limits.KnownNodes)
		e.tables[f] = newTable(id)
		e.searches[f] = map[Key]*search{}
	}
	return e
}

// families returns those in use.
func (e *engine) families() []family {
	var used []family
	for f := range numFamilies {
		if e.conns[f] != nil {
			used = append(used, f)
		}
	}
	return used
}

// wait returns how long the engine may sleep.
func (e *engine) wait() time.Duration {
	next, ok := e.timers.next()
	if !ok {
		return time.Hour
	}
	return max(0, time.Until(next))
}

// turn makes due calls; call it after everything that happened.
func (e *engine) turn() {
	e.now = time.Now()
	e.timers.run(e.now)
	e.scheduleExpiry()
	e.watchPartials()
}

// scheduleExpiry keeps a timer on the stored value that expires next.
func (e *engine) scheduleExpiry() {
	if len(e.store.expiry) == 0 {
		return
	}
	next := e.store.expiry[0].expires()
	switch {
	case e.expiry == nil:
		e.expiry = e.timers.at(next, func() { e.store.expire(e.now) })
	case e.expiry.index < 0 || next.Before(e.expiry.at):
		e.timers.move(e.expiry, next)
	}
}

// send puts a datagram on the wire. An error is like a loss: what was sent will be sent again, or time out.
func (e *engine) send(to netip.AddrPort, datagram []byte) {
	conn := e.conns[familyOf(to.Addr())]
	if conn == nil || isMartian(to) {
		return
	}
	if _, err := conn.WriteToUDPAddrPort(datagram, to); err != nil {
		e.metrics.sendErrors.Add(1)
		return
	}
	e.metrics.packetsOut.Add(1)
	e.metrics.bytesOut.Add(uint64(len(datagram)))
}

// onPacket takes a datagram.
func (e *engine) onPacket(p packet) {
	switch p.msg.Kind {
	case wire.Request:
		e.onRequest(p.from, p.msg)
	case wire.Reply, wire.Error:
		e.onAnswer(p.from, p.msg)
	case wire.Fragments:
		e.partials.fragments(p.from, p.msg, e.now)
	case wire.OldUpdate:
		// Version 0 of listening: nobody was asked for it.
	}
}

// work gives a job to the workers; it reports false when they are busy.
func (e *engine) work(do func(), then func(*engine)) bool {
	select {
	case e.jobs <- job{do, then}:
		return true
	default:
		e.metrics.busy.Add(1)
		return false
	}
}

// seenAt notes the address another node sees us at.
func (e *engine) seenAt(ip netip.Addr) {
	if len(e.reported) >= maxReported && e.reported[ip] == 0 {
		clear(e.reported)
	}
	e.reported[ip]++
}

// maxReported bounds the addresses that others may claim to see us at.
const maxReported = 16

// spread returns a random duration between from and to, so that nodes do not act in step.
func spread(from, to time.Duration) time.Duration {
	return from + time.Duration(rand.Int64N(int64(to-from)))
}

func (e *engine) stats() Stats {
	s := Stats{ID: e.id, Keys: len(e.store.byKey), Values: e.store.values, Bytes: e.store.bytes, Listeners: e.store.listening}
	for _, f := range e.families() {
		fs := FamilyStats{Buckets: len(e.tables[f].buckets), Searches: len(e.searches[f])}
		fs.Good, fs.Dubious = e.tables[f].count(e.now)
		if f == ipv4 {
			s.IPv4 = fs
		} else {
			s.IPv6 = fs
		}
	}
	for ip := range e.reported {
		s.Reported = append(s.Reported, ip)
	}
	return s
}

func (e *engine) nodes() []NodeInfo {
	var all []NodeInfo
	for _, f := range e.families() {
		for _, p := range e.tables[f].closest(e.id, 1<<20, func(*peer) bool { return true }) {
			all = append(all, p.info(e.now))
		}
	}
	return all
}
