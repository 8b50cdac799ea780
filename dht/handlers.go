package dht

import (
	"bytes"
	"net/netip"
	"time"

	"rendezvous/dht/value"
	"rendezvous/dht/wire"
)

const (
	// maxAnswerBytes bounds the values in one answer or update. Requests cost their sender little, so an answer must
	// not be much more than the largest value; who wants more asks for single values.
	maxAnswerBytes = 128 << 10
	// maxRowBytes bounds the rows in the answer to a query that selects: they are one datagram.
	maxRowBytes = 48 << 10
)

// onRequest answers a request of another node.
func (e *engine) onRequest(from netip.AddrPort, m *wire.Message) {
	proven := e.proofs.has(from, e.now)
	switch m.Method {
	case wire.Put, wire.Refresh, wire.Listen:
		if !proven && e.tokens.valid(m.Token, from) {
			e.proofs.add(from, e.now)
			proven = true
		}
		proven = true // who has no token is refused, in a few bytes
	case wire.Ping: // a pong is as large
		proven = true
	}
	if !proven {
		e.hold(from, m)
		return
	}
	e.metrics.requestsIn.count(m.Method)
	p := e.sender(from, m)
	switch m.Method {
	case wire.Ping:
		e.reply(from, m, &wire.Message{}, nil)
	case wire.Find:
		e.reply(from, m, e.nearby(from, m), nil)
	case wire.Get:
		e.onGet(from, m)
	case wire.Put:
		e.onPut(from, m)
	case wire.Refresh:
		e.onRefresh(from, m)
	case wire.Listen:
		e.onListen(p, from, m)
	case wire.Update:
		e.onUpdate(p, from, m)
	}
}

// sender returns the peer a request came from, or nil if we do not believe that it is who it says, or cannot remember
// it. Reading requests of such senders are still answered.
func (e *engine) sender(from netip.AddrPort, m *wire.Message) *peer {
	p := e.peers[familyOf(from.Addr())].intern(m.ID, from, e.now)
	if p == nil {
		return nil
	}
	if p.addr != from {
		// Someone else has this id, or it moved. If the one we know is gone, the next request is believed.
		e.metrics.impostors.Add(1)
		e.ping(p)
		return nil
	}
	p.client = m.Client
	e.alive(p, false)
	return p
}

// reply answers request m.
func (e *engine) reply(to netip.AddrPort, m, answer *wire.Message, values [][]byte) {
	answer.Kind = wire.Reply
	answer.TID = m.TID
	answer.SeenAt = to.Addr()
	datagrams := e.datagrams(answer, values)
	size := 0
	for _, d := range datagrams {
		size += len(d)
	}
	if size >= largeAnswer && !e.proofs.spend(to.Addr(), size, e.now) {
		e.metrics.rateLimited.Add(1)
		return
	}
	for _, d := range datagrams {
		e.send(to, d)
	}
}

// refuse answers request m with an error.
func (e *engine) refuse(to netip.AddrPort, m *wire.Message, code int, text string) {
	answer := wire.Message{Kind: wire.Error, TID: m.TID, Code: code, Text: text}
	for _, d := range e.datagrams(&answer, nil) {
		e.send(to, d)
	}
}

// nearby returns an answer with the good nodes nearest to the target of m, and a token.
func (e *engine) nearby(from netip.AddrPort, m *wire.Message) *wire.Message {
	want := m.Want
	if want == 0 {
		want = familyOf(from.Addr()).wire()
	}
	answer := &wire.Message{Token: e.tokens.issue(from)}
	if want&wire.IPv4 != 0 {
		answer.Nodes4 = e.goodNodes(ipv4, m.Target, from)
	}
	if want&wire.IPv6 != 0 {
		answer.Nodes6 = e.goodNodes(ipv6, m.Target, from)
	}
	return answer
}

func (e *engine) goodNodes(f family, target Key, asker netip.AddrPort) []wire.Node {
	var nodes []wire.Node
	for _, p := range e.tables[f].closest(target, bucketSize, func(p *peer) bool {
		return p.isGood(e.now) && !p.client && p.addr != asker
	}) {
		nodes = append(nodes, wire.Node{ID: p.id, Addr: p.addr})
	}
	return nodes
}

func (e *engine) onGet(from netip.AddrPort, m *wire.Message) {
	if m.Target.IsZero() {
		e.refuse(from, m, wire.CodeMalformed, "Get_values with no info_hash")
		return
	}
	answer := e.nearby(from, m)
	found := e.store.matching(m.Target, m.Query)
	if m.Query != nil && len(m.Query.Select) > 0 {
		if len(found) > 0 {
			answer.Rows = rows(m.Query, found)
		}
		e.reply(from, m, answer, nil)
		return
	}
	e.reply(from, m, answer, packedUpTo(found, maxAnswerBytes))
}

// rows answers a query that selects, with as many rows as fit a datagram.
func rows(q *wire.Query, found []*stored) *wire.Rows {
	var unpacked []*value.Value
	size := 0
	for _, s := range found {
		v, err := value.Unpack(s.packed)
		if err != nil {
			continue // cannot be: it was unpacked before it was stored
		}
		for _, cell := range q.Row(v) {
			size += 10 + len(cell.Blob)
		}
		if size > maxRowBytes {
			break
		}
		unpacked = append(unpacked, v)
	}
	return q.Answer(unpacked)
}

// packedUpTo returns the packed values in order, at most max bytes of them.
func packedUpTo(found []*stored, max int) [][]byte {
	var values [][]byte
	for _, s := range found {
		if max -= len(s.packed); max < 0 {
			break
		}
		values = append(values, s.packed)
	}
	return values
}

// onPut stores values for others. What is not stored because of policy is answered like what is, as all nodes do.
func (e *engine) onPut(from netip.AddrPort, m *wire.Message) {
	switch {
	case m.Target.IsZero():
		e.refuse(from, m, wire.CodeMalformed, "Put with no info_hash")
	case !e.tokens.valid(m.Token, from):
		e.refuse(from, m, wire.CodeUnauthorized, "Put with wrong token")
	case announced(m.Values) > 0:
		e.receive(from, m, func(values [][]byte) { e.storePut(from, m, values) })
	default:
		e.storePut(from, m, inline(m.Values))
	}
}

// receive collects the fragments of a request's values.
func (e *engine) receive(from netip.AddrPort, m *wire.Message, complete func(values [][]byte)) {
	if e.partials.has(from, m.TID) {
		return // the head again
	}
	if part := e.partials.add(from, m, e.now); part != nil {
		part.complete = complete
	}
}

func (e *engine) storePut(from netip.AddrPort, m *wire.Message, values [][]byte) {
	created := wireTime(m.Created, e.now)
	near := e.isNear(familyOf(from.Addr()), m.Target)
	for _, packed := range values {
		v, err := value.Unpack(packed)
		if err != nil {
			e.metrics.malformed.Add(1)
			continue
		}
		if v.ID == 0 {
			e.refuse(from, m, wire.CodeMalformed, "Put with invalid id")
			continue
		}
		if near && !e.storeForOthers(m.Target, v, created, from.Addr()) {
			continue // no capacity now: unanswered, it will be sent again
		}
		e.reply(from, m, &wire.Message{ValueID: v.ID}, nil)
	}
}

// storeForOthers stores a value if policy allows. It reports false when the workers have no time to find out.
func (e *engine) storeForOthers(key Key, v *value.Value, created time.Time, from netip.Addr) bool {
	packed := v.Pack()
	if old := e.store.byKey[key].get(v.ID); old != nil && bytes.Equal(old.packed, packed) {
		e.store.refresh(old.slot, v.ID, created)
		return true
	}
	keep := func(e *engine, allowed bool) {
		// A copy of the exact size: it is kept for long.
		if !allowed || !e.store.put(key, v, bytes.Clone(v.Pack()), created, e.now, from) {
			e.metrics.valuesRefused.Add(1)
		}
	}
	if !needsWork(v) {
		keep(e, mayStore(key, v, from))
		return true
	}
	var allowed bool
	return e.work(func() { allowed = mayStore(key, v, from) }, func(e *engine) { keep(e, allowed) })
}

// isNear reports whether values at the key are ours to keep: few nodes are known there, or we are among the closest.
func (e *engine) isNear(f family, key Key) bool {
	closest := e.tables[f].closest(key, searchNodes, func(p *peer) bool { return p.isGood(e.now) })
	if len(closest) < bucketSize {
		return true
	}
	return key.CompareDistance(e.id, closest[len(closest)-1].id) < 0
}

func (e *engine) onRefresh(from netip.AddrPort, m *wire.Message) {
	switch sl := e.store.byKey[m.Target]; {
	case m.Target.IsZero():
		e.refuse(from, m, wire.CodeMalformed, "Refresh with no info_hash")
	case !e.tokens.valid(m.Token, from):
		e.refuse(from, m, wire.CodeUnauthorized, "Refresh with wrong token")
	case sl == nil || !e.store.refresh(sl, m.ValueID, e.now):
		e.refuse(from, m, wire.CodeNotFound, "Access operation for unknown storage")
	default:
		e.reply(from, m, &wire.Message{ValueID: m.ValueID}, nil)
	}
}

func (e *engine) onListen(p *peer, from netip.AddrPort, m *wire.Message) {
	switch {
	case m.Target.IsZero():
		e.refuse(from, m, wire.CodeMalformed, "Listen with no info_hash")
	case !e.tokens.valid(m.Token, from):
		e.refuse(from, m, wire.CodeUnauthorized, "Listen with wrong token")
	case p == nil || m.Version == 0:
		// Nobody we could tell of changes: unanswered, the asker takes another node.
	default:
		if e.store.listen(p, m, e.now, e.update) {
			e.reply(from, m, &wire.Message{}, nil)
		}
	}
}

// onUpdate takes what a node we listen at tells of a key.
func (e *engine) onUpdate(p *peer, from netip.AddrPort, m *wire.Message) {
	if p == nil {
		return
	}
	at := p.sockets[m.SocketID]
	if at == nil {
		e.reply(from, m, &wire.Message{}, nil) // we stopped listening; silence would make it repeat itself
		return
	}
	if len(m.Token) > 0 {
		at.candidate.setToken(m.Token, e.now)
	}
	take := func(values [][]byte) {
		at.op.heard(at, m, values, e.now)
		e.reply(from, m, &wire.Message{}, nil)
	}
	if announced(m.Values) > 0 {
		e.receive(from, m, take)
		return
	}
	take(inline(m.Values))
}
