package dht

import (
	"net/netip"
	"slices"
	"time"

	"rendezvous/dht/wire"
)

const (
	searchNodes = 14 // candidates kept
	searchReach = 8  // nodes that get and put deal with
	searchAlpha = 4  // unanswered requests at a time, to nodes that we do not know well
	listenNodes = 4  // nodes listened at
	tokenLife   = 10 * time.Minute
	listenRenew = 20 * time.Second
	// beat is the clock at which what lasts is renewed: a node that listens at hundreds of keys wakes at most so often for it, and
	// not once for each.
	beat       = 250 * time.Millisecond
	searchIdle = 62 * time.Minute // an unused search is kept so long, as its nodes are a good start
	// maxUnauthorized is how often a node may refuse the token it gave us.
	maxUnauthorized = 3
)

// search knows the nodes nearest to a key in one family, and serves every get, put and listen there.
type search struct {
	e          *engine
	target     Key
	fam        family
	candidates []*candidate // nearest first
	gets       []*getOp
	puts       []*putOp
	listens    []*listenOp
	timer      *timer
	used       time.Time
	refilled   time.Time
}

// candidate is a node near the key.
type candidate struct {
	peer         *peer
	search       *search
	token        []byte
	tokenUntil   time.Time // when we ask for another one; zero: at once, or there is none
	finding      *request
	unauthorized int
	gets         map[*getOp]*getAt
	puts         map[*putOp]*putAt
	listens      map[*listenOp]*listenAt
}

func (c *candidate) setToken(token []byte, now time.Time) {
	c.token = slices.Clone(token)
	// What begins together, as all rooms of a host do, is not renewed together ever after.
	life := tokenLife
	if c.tokenUntil.IsZero() {
		life = spread(tokenLife/2, tokenLife)
	}
	c.tokenUntil = now.Add(life)
}

// fresh reports whether we have a token of the node to put or listen with.
func (c *candidate) fresh(now time.Time) bool {
	return len(c.token) > 0 && now.Before(c.tokenUntil)
}

// doubtful reports whether the node is probably gone: its place counts as free although it is not expired yet.
func (c *candidate) doubtful() bool { return c.peer.failed() >= 2 }

// searchFor returns the search for a key, making it if need be; nil when there are too many.
func (e *engine) searchFor(f family, key Key) *search {
	if s := e.searches[f][key]; s != nil {
		return s
	}
	if len(e.searches[f]) >= e.cfg.Limits.Searches && !e.forgetSearch(f) {
		return nil
	}
	s := &search{e: e, target: key, fam: f, used: e.now}
	s.timer = e.timers.at(e.now, s.step)
	e.searches[f][key] = s
	return s
}

// searchesFor returns the searches for a key in all families.
func (e *engine) searchesFor(key Key) []*search {
	var all []*search
	for _, f := range e.families() {
		if s := e.searchFor(f, key); s != nil {
			all = append(all, s)
		}
	}
	return all
}

// forgetSearch drops the search that was longest unused.
func (e *engine) forgetSearch(f family) bool {
	var oldest *search
	for _, s := range e.searches[f] {
		if s.idle() && (oldest == nil || s.used.Before(oldest.used)) {
			oldest = s
		}
	}
	if oldest == nil {
		return false
	}
	oldest.remove()
	return true
}

func (s *search) idle() bool { return len(s.gets)+len(s.puts)+len(s.listens) == 0 }

func (s *search) remove() {
	for len(s.candidates) > 0 {
		s.drop(s.candidates[0])
	}
	s.e.timers.stop(s.timer)
	delete(s.e.searches[s.fam], s.target)
}

// soon makes the search go on once what is happening now is over.
func (s *search) soon() { s.e.timers.move(s.timer, s.e.now) }

// insert makes a peer a candidate if it is near enough.
func (s *search) insert(p *peer) bool {
	if p == nil || p.client || p.id == s.e.id || !p.worthTrying(s.e.now) || p.searches[s] != nil {
		return false
	}
	i, _ := slices.BinarySearchFunc(s.candidates, p.id, func(c *candidate, id Key) int {
		return s.target.CompareDistance(c.peer.id, id)
	})
	if i >= searchNodes || s.crowded(p) {
		return false
	}
	c := &candidate{peer: p, search: s, gets: map[*getOp]*getAt{}, puts: map[*putOp]*putAt{}, listens: map[*listenOp]*listenAt{}}
	s.candidates = slices.Insert(s.candidates, i, c)
	if p.searches == nil {
		p.searches = map[*search]*candidate{}
	}
	p.searches[s] = c
	p.refs++
	if len(s.candidates) > searchNodes {
		s.drop(s.candidates[searchNodes])
	}
	return true
}

func (s *search) crowded(p *peer) bool {
	others := make([]*peer, len(s.candidates))
	for i, c := range s.candidates {
		others[i] = c.peer
	}
	return crowded(others, p)
}

// drop takes a candidate out, with all that was asked of it for this search.
func (s *search) drop(c *candidate) {
	i := slices.Index(s.candidates, c)
	if i < 0 {
		return
	}
	s.candidates = slices.Delete(s.candidates, i, i+1)
	delete(c.peer.searches, s)
	c.peer.refs--
	s.e.cancel(c.finding)
	for _, at := range c.gets {
		at.cancel(s.e)
	}
	for _, at := range c.puts {
		s.e.cancel(at.request)
	}
	for _, at := range c.listens {
		at.stop(s.e)
	}
}

// dropFromSearches is for a peer that expired.
func (e *engine) dropFromSearches(p *peer) {
	for s, c := range p.searches {
		s.drop(c)
		s.soon()
	}
}

// offerToSearches is for a peer that came up: it may be among the nearest to what we search.
func (e *engine) offerToSearches(p *peer) {
	for _, s := range e.searches[p.fam] {
		if !s.idle() && s.insert(p) {
			s.soon()
		}
	}
}

// refill looks for more candidates among the nodes we know, when there are few.
func (s *search) refill() {
	now := s.e.now
	if len(s.candidates) >= searchReach || now.Sub(s.refilled) < time.Second {
		return
	}
	s.refilled = now
	for _, p := range s.e.peers[s.fam].closest(s.target, searchNodes, func(p *peer) bool {
		return !p.client && p.expired.IsZero() && !p.heard.IsZero()
	}) {
		s.insert(p)
	}
}

// step does what can be done now, and arranges for the next step.
func (s *search) step() {
	if s.idle() {
		return
	}
	now := s.e.now
	s.used = now
	s.refill()
	for _, op := range s.gets {
		for _, c := range s.nearest(searchReach) {
			if c.gets[op] == nil && s.mayAsk(c) {
				c.get(op)
			}
		}
	}
	if len(s.puts)+len(s.listens) > 0 {
		for _, c := range s.nearest(searchReach) {
			if !c.fresh(now) && !c.asked() && s.mayAsk(c) {
				c.find()
			}
		}
	}
	for _, c := range s.nearest(searchReach) {
		if !c.fresh(now) {
			break // nearer nodes first: what this one will name may be nearer than the next
		}
		for _, op := range s.puts {
			c.put(op)
		}
	}
	if s.synced() {
		s.listen()
	}
	for _, op := range slices.Clone(s.gets) {
		op.conclude(s.e)
	}
	for _, op := range slices.Clone(s.puts) {
		op.conclude(s.e)
	}
	s.schedule()
}

// listen listens at the nearest nodes, and no longer at those that nearer ones came before.
func (s *search) listen() {
	nearest := s.nearest(listenNodes)
	for _, c := range s.candidates {
		if slices.Contains(nearest, c) {
			for _, op := range s.listens {
				c.listen(op)
			}
			continue
		}
		for op, at := range c.listens {
			if s.e.now.Sub(at.sent) > listenRenew {
				at.stop(s.e)
				delete(c.listens, op)
			}
		}
	}
}

// mayAsk reports whether another candidate may be asked now. Nodes that answered lately will do so again: all that are
// needed may be asked at once.
func (s *search) mayAsk(c *candidate) bool {
	if c.peer.isGood(s.e.now) {
		return s.busy() < searchReach
	}
	return s.busy() < searchAlpha
}

// nearest returns the n nearest candidates that seem alive.
func (s *search) nearest(n int) []*candidate {
	found := make([]*candidate, 0, n)
	for _, c := range s.candidates {
		if len(found) < n && !c.doubtful() {
			found = append(found, c)
		}
	}
	return found
}

// busy counts the candidates whose answer we wait for in earnest: not those that missed an attempt already.
func (s *search) busy() int {
	n := 0
	for _, c := range s.candidates {
		if c.asked() && c.peer.failed() == 0 {
			n++
		}
	}
	return n
}

// asked reports whether a request that brings a token is on its way.
func (c *candidate) asked() bool {
	if c.finding != nil && !c.finding.done {
		return true
	}
	for _, at := range c.gets {
		if !at.done {
			return true
		}
	}
	return false
}

// synced reports whether we know the nearest nodes and can put and listen there.
func (s *search) synced() bool {
	nearest := s.nearest(searchReach)
	for _, c := range nearest {
		if !c.fresh(s.e.now) {
			return false
		}
	}
	return len(nearest) > 0
}

// joinPatience is how long an operation waits for the node to join when it knows nobody to ask.
const joinPatience = 10 * time.Second

// hopeless reports whether the search has nobody to ask, and nobody is about to come up for an operation that was
// started at the given time.
func (s *search) hopeless(started time.Time) bool {
	switch {
	case len(s.candidates) > 0:
		return false
	case s.e.connected(s.fam):
		return s.refilled.Equal(s.e.now) // we looked, and there was nobody
	default:
		return s.e.anyConnected() || !s.e.joining() || s.e.now.Sub(started) > joinPatience
	}
}

// schedule sets the timer to the next renewal that is due.
func (s *search) schedule() {
	if s.timer.index >= 0 {
		return // soon was called meanwhile
	}
	if len(s.puts)+len(s.listens) == 0 {
		if len(s.candidates) == 0 {
			s.e.timers.move(s.timer, s.e.now.Add(time.Second))
		}
		return
	}
	next := s.e.now.Add(30 * time.Second)
	if len(s.candidates) == 0 {
		next = s.e.now.Add(time.Second)
	}
	sooner := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	for _, c := range s.nearest(searchReach) {
		if c.fresh(s.e.now) {
			sooner(c.tokenUntil)
		}
		for op, at := range c.puts {
			if due, ok := at.due(op); ok {
				sooner(due)
			}
		}
		for _, at := range c.listens {
			if at.request == nil || at.request.done {
				sooner(at.due)
			}
		}
	}
	s.e.timers.move(s.timer, s.e.onBeat(maxTime(next, s.e.now.Add(50*time.Millisecond))))
}

// onBeat is the first beat that does not come before a time.
func (e *engine) onBeat(t time.Time) time.Time {
	over := t.Sub(e.began) % beat
	if over <= 0 {
		return t
	}
	return t.Add(beat - over)
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// find asks a candidate for nearer nodes and a token.
func (c *candidate) find() {
	s := c.search
	c.finding = s.e.ask(c.peer, &wire.Message{Method: wire.Find, Target: s.target}, nil, handler{
		reply:   func(m *wire.Message, _ [][]byte) { c.answered(m) },
		refused: func(int) { s.refusedSearch(c) },
		slow:    s.soon,
	})
}

// answered takes what every answer to find and get brings: nodes and a token. A node without token is of no use and
// dropped for a while; it reports false then.
func (c *candidate) answered(m *wire.Message) bool {
	s := c.search
	if len(m.Token) == 0 {
		s.e.peerExpired(c.peer)
		return false
	}
	c.setToken(m.Token, s.e.now)
	for _, n := range s.e.listed(c.peer, m, s.fam) {
		s.insert(s.e.peers[s.fam].intern(n.ID, n.Addr, s.e.now))
	}
	s.soon()
	return true
}

// refusedSearch is for a node that answers a plain question with an error.
func (s *search) refusedSearch(c *candidate) {
	s.drop(c)
	s.soon()
}

// unauthorizedBy is for a node that refused the token it gave us: we ask for another one, but not for ever.
func (c *candidate) unauthorizedBy() {
	c.token = nil
	if c.unauthorized++; c.unauthorized >= maxUnauthorized {
		c.search.e.peerExpired(c.peer)
	}
	c.search.soon()
}

// listed returns the usable nodes an answer names in one family. A loopback address is the sender's own view of a node
// on its host.
func (e *engine) listed(from *peer, m *wire.Message, f family) []wire.Node {
	list := m.Nodes4
	if f == ipv6 {
		list = m.Nodes6
	}
	usable := list[:0]
	for _, n := range list {
		if n.Addr.Addr().IsLoopback() && !from.addr.Addr().IsLoopback() {
			if from.fam != f {
				continue
			}
			n.Addr = netip.AddrPortFrom(from.addr.Addr(), n.Addr.Port())
		}
		if n.ID != e.id && !n.ID.IsZero() && !isMartian(n.Addr) {
			usable = append(usable, n)
		}
	}
	return usable
}
