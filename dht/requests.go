package dht

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	crand "crypto/rand"

	"rendezvous/dht/wire"
)

// A request is sent up to maxAttempts times; the waits grow from firstWait as the reference's do.
const (
	maxAttempts = 3
	firstWait   = 500 * time.Millisecond
	waitSpread  = 250 * time.Millisecond
)

// request is one of ours, on its way.
type request struct {
	peer      *peer // nil as long as we do not know who lives at the address
	addr      netip.AddrPort
	tid       uint32
	method    wire.Method
	datagrams [][]byte
	attempts  int
	wait      time.Duration
	timer     *timer
	receiving *partial // the answer, while its fragments come in

	// onReply gets the answer; values holds the packed values in it. Exactly one of the three is called, once.
	onReply   func(m *wire.Message, values [][]byte)
	onRefused func(code int)
	onExpired func()
	// onSlow is called when an attempt stayed unanswered; nil is fine.
	onSlow func()
	done   bool
}

// attemptsFailed is how many sends stayed unanswered so far.
func (r *request) attemptsFailed() int { return max(0, r.attempts-1) }

// handler is what is to happen with a request's outcome; nil functions are fine.
type handler struct {
	reply   func(m *wire.Message, values [][]byte)
	refused func(code int)
	expired func()
	slow    func()
}

// ask sends a request to a peer, with the packed values if it carries any.
func (e *engine) ask(p *peer, m *wire.Message, values [][]byte, h handler) *request {
	r := e.newRequest(p.addr, m, values, h)
	r.peer = p
	if p.requests == nil {
		p.requests = map[uint32]*request{}
	}
	p.requests[r.tid] = r
	e.attempt(r)
	return r
}

// askUnknown sends a request to an address where we do not know who lives.
func (e *engine) askUnknown(addr netip.AddrPort, m *wire.Message, h handler) *request {
	r := e.newRequest(addr, m, nil, h)
	e.anonymous[r.tid] = r
	e.attempt(r)
	return r
}

// askOnce is askUnknown, and does not ask again if nothing comes.
func (e *engine) askOnce(addr netip.AddrPort, m *wire.Message, h handler) {
	r := e.newRequest(addr, m, nil, h)
	r.attempts = maxAttempts - 1
	e.anonymous[r.tid] = r
	e.attempt(r)
}

func (e *engine) newRequest(addr netip.AddrPort, m *wire.Message, values [][]byte, h handler) *request {
	r := &request{
		addr: addr, tid: e.newTID(), method: m.Method, wait: firstWait,
		onReply: h.reply, onRefused: h.refused, onExpired: h.expired, onSlow: h.slow,
	}
	m.Kind = wire.Request
	m.TID = r.tid
	r.datagrams = e.datagrams(m, values)
	return r
}

// newTID returns a transaction id that nobody can guess, so that answers cannot be forged blindly.
func (e *engine) newTID() uint32 {
	var b [4]byte
	for {
		crand.Read(b[:]) // never fails (crypto/rand)
		if tid := binary.BigEndian.Uint32(b[:]); tid != 0 {
			return tid
		}
	}
}

// attempt sends a request once more, or gives it up.
func (e *engine) attempt(r *request) {
	if r.attempts == maxAttempts {
		e.metrics.timeouts.Add(1)
		if r.peer != nil {
			e.peerExpired(r.peer)
		}
		e.expire(r)
		return
	}
	if n := r.attempts; r.peer != nil && n > 0 { // one more of its sends stayed unanswered
		r.peer.unheard[n]++
		if n > 1 {
			r.peer.unheard[n-1]--
		}
	}
	r.attempts++
	for _, d := range r.datagrams {
		e.send(r.addr, d)
	}
	e.metrics.requestsOut.count(r.method)
	r.wait += r.wait + time.Duration(rand.Int64N(int64(waitSpread)))
	r.timer = e.timers.at(e.now.Add(r.wait), func() {
		e.attempt(r)
		if !r.done && r.onSlow != nil {
			r.onSlow()
		}
	})
}

// forget takes a request off the books. It reports whether it was still on them.
func (e *engine) forget(r *request) bool {
	if r == nil || r.done {
		return false
	}
	r.done = true
	r.datagrams = nil // who keeps r to see what has become of it need not keep them
	e.timers.stop(r.timer)
	if r.receiving != nil {
		e.partials.remove(r.receiving)
		r.receiving = nil
	}
	if r.peer != nil {
		delete(r.peer.requests, r.tid)
		if n := r.attemptsFailed(); n > 0 {
			r.peer.unheard[n]--
		}
	} else {
		delete(e.anonymous, r.tid)
	}
	return true
}

// cancel ends a request without any outcome; nil is fine.
func (e *engine) cancel(r *request) { e.forget(r) }

func (e *engine) expire(r *request) {
	if e.forget(r) && r.onExpired != nil {
		r.onExpired()
	}
}

// peerExpired marks a peer as not answering, which ends everything that waits for it.
func (e *engine) peerExpired(p *peer) {
	if !p.expired.IsZero() {
		return
	}
	p.expired = e.now
	for _, r := range p.requests {
		e.expire(r)
	}
	if successor := e.tables[p.fam].expired(p); successor != nil {
		e.ping(successor)
	}
	e.store.dropListenersOf(p)
	e.dropFromSearches(p)
	e.checkStatus(p.fam)
}

// ping asks a peer for a sign of life, unless that was done already.
func (e *engine) ping(p *peer) {
	if p.checking || len(p.requests) >= maxRequestsPerPeer {
		return
	}
	p.checking = true
	over := func() { p.checking = false }
	e.ask(p, &wire.Message{Method: wire.Ping}, nil, handler{
		reply:   func(*wire.Message, [][]byte) { over() },
		refused: func(int) { over() },
		expired: over,
	})
}

// maxRequestsPerPeer bounds what we ask of one peer at a time.
const maxRequestsPerPeer = 128

// onAnswer takes a reply or a refusal: it counts only if it comes from the address that was asked, with the transaction
// id of the request and, where we know it, the id of the peer.
func (e *engine) onAnswer(from netip.AddrPort, m *wire.Message) {
	fam := familyOf(from.Addr())
	var r *request
	if p := e.peers[fam].byID[m.ID]; p != nil && p.addr == from {
		r = p.requests[m.TID]
	}
	if r == nil {
		if a := e.anonymous[m.TID]; a != nil && a.addr == from {
			r = a
		}
	}
	if r == nil {
		e.metrics.unmatched.Add(1)
		return
	}
	if m.Kind == wire.Reply && announced(m.Values) > 0 {
		if r.receiving != nil {
			return // the header again, sent because we asked again
		}
		if part := e.partials.add(from, m, e.now); part != nil {
			r.receiving = part
			part.complete = func(values [][]byte) { e.answered(r, m, values) }
			part.failed = func() { r.receiving = nil }
			return
		}
		m.Values = nil // more than we take: the answer counts, its values do not
		m.Text = tooLarge
	}
	e.answered(r, m, inline(m.Values))
}

// tooLarge marks, in the Text of a reply, that its values were more than we take at once.
const tooLarge = "too large"

// answered concludes a request.
func (e *engine) answered(r *request, m *wire.Message, values [][]byte) {
	p := r.peer
	e.forget(r)
	defer e.prove(r.addr) // after what the answer means to us
	if p == nil {
		if p = e.peers[familyOf(r.addr.Addr())].intern(m.ID, r.addr, e.now); p == nil || p.addr != r.addr {
			return
		}
	}
	e.alive(p, true)
	if m.SeenAt.IsValid() {
		e.seenAt(m.SeenAt)
	}
	if m.Kind == wire.Error {
		if r.onRefused != nil {
			r.onRefused(m.Code)
		}
		return
	}
	if r.onReply != nil {
		r.onReply(m, values)
	}
}

// alive notes that something came from a peer. An answer brings it into the routing table: where a request says it
// comes from may be forged, and whoever is in the table is asked and named to others.
func (e *engine) alive(p *peer, replied bool) {
	if !replied && (p.replied.IsZero() || !p.expired.IsZero()) {
		e.hold(p.addr, nil)
		return
	}
	if p.heard.IsZero() || !p.expired.IsZero() {
		p.since = e.now
	}
	p.heard = e.now
	wasReplied := !p.replied.IsZero() && p.expired.IsZero()
	p.expired = time.Time{}
	t := e.tables[p.fam]
	if replied {
		p.replied = e.now
		t.bucketOf(p.id).confirmed = e.now
	}
	if p.client {
		return
	}
	if _, doubtful := t.insert(p, e.now); doubtful != nil {
		e.ping(doubtful)
	}
	if replied && !wasReplied {
		e.offerToSearches(p)
		e.checkStatus(p.fam)
	}
}
