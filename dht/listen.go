package dht

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	crand "crypto/rand"

	"rendezvous/dht/value"
	"rendezvous/dht/wire"
)

// Event is a value that appeared at a key, or went.
type Event struct {
	Value *Value
	// Expired is set when the value went: no node holds it any longer.
	Expired bool
}

// maxListenValues and maxListenBytes bound the values one Listen remembers; what exceeds them is still handed on, but its
// expiry is not, and it may be handed on again.
const (
	maxListenValues = 4096
	maxListenBytes  = 16 << 20
)

// listenOp is one Listen under way. The engine's goroutine owns it, but for the mailbox.
type listenOp struct {
	query    *wire.Query
	box      *mailbox[tidings]
	slot     *slot
	searches []*search
}

// listenAt is our listen at one candidate.
type listenAt struct {
	op        *listenOp
	candidate *candidate
	sid       uint32
	sent      time.Time
	due       time.Time // when it is to be renewed
	request   *request
}

// stop ends the listen at this node: what it said holds no longer.
func (at *listenAt) stop(e *engine) {
	e.cancel(at.request)
	delete(at.candidate.peer.sockets, at.sid)
	at.op.box.send(tidings{source: at.candidate.peer.id, at: e.now, gone: true})
}

// tidings is what one node said about the key.
type tidings struct {
	source    Key // the node's id; zero is our own store
	created   time.Time
	at        time.Time
	values    [][]byte
	refreshed []uint64
	expired   []uint64
	gone      bool // the node does not answer any longer, or is not listened at any longer
}

func (t tidings) bytes() int {
	n := 0
	for _, v := range t.values {
		n += len(v)
	}
	return n
}

// Listen delivers the values at a key: those there, then new ones as they are put, and the expiry of each.
// The channel is closed when ctx ends or the node is closed. A reader that is slower than the events loses the oldest
// of those waiting (Limits.EventBacklog).
func (n *Node) Listen(ctx context.Context, key Key, opts ...Option) (<-chan Event, error) {
	filter := newValueFilter(opts)
	op := &listenOp{query: filter.query(), box: newMailbox[tidings](n.cfg.Limits.EventBacklog, &n.metrics.eventsDropped)}
	var err error
	if doErr := n.do(ctx, func(e *engine) { err = op.start(e, key) }); doErr != nil {
		return nil, doErr
	}
	if err != nil {
		return nil, err
	}
	events := make(chan Event)
	if !n.spawn(func() {
		defer close(events)
		defer n.post(op.stop)
		ctx, cancel := n.withStop(ctx)
		defer cancel()
		l := &listening{filter: filter, heard: map[uint64]*heardValue{}, events: events}
		l.run(ctx, op.box)
	}) {
		return nil, ErrClosed
	}
	return events, nil
}

func (op *listenOp) start(e *engine, key Key) error {
	op.slot = e.store.at(key, true)
	op.searches = e.searchesFor(key)
	if op.slot == nil || len(op.searches) == 0 {
		return ErrTooManyOperations
	}
	a := op.slot.watched()
	a.local = append(a.local, op)
	for _, v := range e.store.matching(key, op.query) {
		op.changed(change{added, v}, e.now)
	}
	for _, s := range op.searches {
		s.listens = append(s.listens, op)
		s.soon()
	}
	return nil
}

func (op *listenOp) stop(e *engine) {
	op.box.end(ErrClosed)
	a := op.slot.watched()
	a.local = slices.DeleteFunc(a.local, func(o *listenOp) bool { return o == op })
	e.store.drop(op.slot)
	for _, s := range op.searches {
		s.listens = slices.DeleteFunc(s.listens, func(o *listenOp) bool { return o == op })
		for _, c := range s.candidates {
			if at := c.listens[op]; at != nil {
				at.stop(e)
				delete(c.listens, op)
			}
		}
	}
}

// changed hands on what happened in our own store.
func (op *listenOp) changed(ch change, now time.Time) {
	t := tidings{created: ch.value.created(), at: now}
	switch ch.kind {
	case added:
		t.values = [][]byte{ch.value.packed}
	case refreshed:
		t.refreshed = []uint64{ch.value.id}
	case expired:
		t.expired = []uint64{ch.value.id}
	}
	op.box.send(t)
}

// heard hands on what a node we listen at told us.
func (op *listenOp) heard(at *listenAt, m *wire.Message, values [][]byte, now time.Time) {
	op.box.send(tidings{
		source: at.candidate.peer.id, created: wireTime(m.Created, now), at: now,
		values: values, refreshed: m.Refreshed, expired: m.Expired,
	})
}

// listen starts or renews our listen at a candidate.
func (c *candidate) listen(op *listenOp) {
	e := c.search.e
	at := c.listens[op]
	switch {
	case at == nil:
		at = &listenAt{op: op, candidate: c, sid: newSocketID(c.peer)}
		c.listens[op] = at
		if c.peer.sockets == nil {
			c.peer.sockets = map[uint32]*listenAt{}
		}
		c.peer.sockets[at.sid] = at
	case at.request != nil && !at.request.done, e.now.Before(at.due):
		return
	}
	again := listenRenew
	if at.sent.IsZero() { // what begins together is not renewed together
		again = spread(listenRenew/2, listenRenew)
	}
	at.sent, at.due = e.now, e.now.Add(again)
	m := &wire.Message{Method: wire.Listen, Version: 1, Target: c.search.target, Token: c.token, SocketID: at.sid, Query: op.query}
	at.request = e.ask(c.peer, m, nil, handler{
		reply: func(m *wire.Message, _ [][]byte) {
			if len(m.Token) > 0 {
				c.setToken(m.Token, e.now) // newer nodes give one
			}
			c.search.soon()
		},
		refused: func(code int) {
			at.stop(e)
			delete(c.listens, op)
			if code == wire.CodeUnauthorized {
				c.unauthorizedBy()
			} else {
				c.search.refusedSearch(c)
			}
		},
		slow: c.search.soon,
	})
}

// newSocketID returns a number by which the peer is to name one of our listens.
func newSocketID(p *peer) uint32 {
	var b [4]byte
	for {
		crand.Read(b[:]) // never fails (crypto/rand)
		if id := binary.BigEndian.Uint32(b[:]); id != 0 && p.sockets[id] == nil {
			return id
		}
	}
}

// listening makes events of what several nodes say: each value once, its expiry when the last of them has dropped
// it, or when its life is over and nobody refreshed it.
type listening struct {
	filter *valueFilter
	heard  map[uint64]*heardValue
	bytes  int // of the values in heard
	events chan<- Event
}

// heardValue is a value handed on.
type heardValue struct {
	value   *Value
	packed  []byte
	sources map[Key]struct{}
	expires time.Time
	life    time.Duration
}

func (l *listening) run(ctx context.Context, box *mailbox[tidings]) {
	clock := time.NewTimer(time.Hour)
	defer clock.Stop()
	for {
		t, ok, ended, _ := box.take()
		switch {
		case ok:
			if !l.take(ctx, t) {
				return
			}
			continue
		case ended:
			return
		}
		clock.Reset(l.untilExpiry())
		select {
		case <-box.ready:
		case <-clock.C:
			now := time.Now()
			for id, h := range l.heard {
				if !h.expires.After(now) && !l.expire(ctx, id) {
					return
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

func (l *listening) untilExpiry() time.Duration {
	next := time.Hour
	for _, h := range l.heard {
		next = min(next, time.Until(h.expires))
	}
	return max(next, time.Millisecond)
}

// take handles what one node said. It reports false when the reader is gone.
func (l *listening) take(ctx context.Context, t tidings) bool {
	for _, packed := range t.values {
		if !l.value(ctx, t, packed) {
			return false
		}
	}
	if t.gone {
		for _, h := range l.heard {
			// The last node that had a value may come back: the value then stays until its life is over.
			if len(h.sources) > 1 {
				delete(h.sources, t.source)
			}
		}
	}
	for _, id := range t.refreshed {
		if h := l.heard[id]; h != nil {
			h.sources[t.source] = struct{}{}
			h.expires = maxTime(h.expires, t.at.Add(h.life))
		}
	}
	for _, id := range t.expired {
		h := l.heard[id]
		if h == nil {
			continue
		}
		if delete(h.sources, t.source); len(h.sources) == 0 && !l.expire(ctx, id) {
			return false
		}
	}
	return true
}

func (l *listening) value(ctx context.Context, t tidings, packed []byte) bool {
	outer, err := value.Unpack(packed)
	if err != nil {
		return true
	}
	h := l.heard[outer.ID]
	if h != nil && string(h.packed) == string(packed) {
		h.sources[t.source] = struct{}{}
		h.expires = maxTime(h.expires, t.created.Add(h.life))
		return true
	}
	v := l.filter.accept(packed)
	if v == nil {
		return true
	}
	if h != nil && h.value.IsSigned() && (!v.IsSigned() || v.Owner.Equal(h.value.Owner) && v.Seq < h.value.Seq) {
		return true // an older version, or something else put in the signed value's place
	}
	life := outer.Type.Lifetime() // nodes keep an encrypted value as plain data, whatever is inside
	if h != nil || len(l.heard) < maxListenValues && l.bytes < maxListenBytes {
		if h == nil {
			h = &heardValue{sources: map[Key]struct{}{}}
			l.heard[outer.ID] = h
		}
		l.bytes += len(packed) - len(h.packed)
		h.value, h.packed, h.life = v, slices.Clone(packed), life
		h.sources[t.source] = struct{}{}
		h.expires = t.created.Add(life)
	}
	return l.send(ctx, Event{Value: v})
}

func (l *listening) expire(ctx context.Context, id uint64) bool {
	h := l.heard[id]
	v := h.value
	l.bytes -= len(h.packed)
	delete(l.heard, id)
	return l.send(ctx, Event{Value: v, Expired: true})
}

func (l *listening) send(ctx context.Context, ev Event) bool {
	select {
	case l.events <- ev:
		return true
	case <-ctx.Done():
		return false
	}
}
