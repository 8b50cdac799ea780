package dht

import (
	"net/netip"
	"slices"
	"time"
)

const (
	// A node is good if it answered within goodReplied and anything was heard of it within goodHeard.
	goodReplied = 120 * time.Minute
	goodHeard   = 10 * time.Minute
	// retryExpired is how long a node that did not answer is left alone when others name it.
	retryExpired = 2 * time.Minute
)

// peer is another node, as long as somebody in here cares for it.
type peer struct {
	id      Key
	addr    netip.AddrPort
	fam     family
	client  bool      // not to be listed
	since   time.Time // when it came up
	heard   time.Time
	replied time.Time
	expired time.Time // when it stopped answering; zero while it does
	refs    int       // buckets, searches and listeners that hold it

	requests map[uint32]*request    // ours to it, by transaction id
	unheard  [maxAttempts]int       // how many of them have so many sends that stayed unanswered; of 0 it is not counted
	sockets  map[uint32]*listenAt   // our listens at it, by socket id
	searches map[*search]*candidate // those it is a candidate of
	checking bool                   // a ping of ours is on its way
}

func (p *peer) isGood(now time.Time) bool {
	return p.expired.IsZero() && now.Sub(p.replied) < goodReplied && now.Sub(p.heard) < goodHeard
}

// failed returns how many attempts of the most unlucky request to the peer stayed unanswered. It is asked for each candidate
// of a search at each of its steps, where hundreds of requests may be on their way to a peer: so it is counted, not looked for.
func (p *peer) failed() int {
	for n := maxAttempts - 1; n > 0; n-- {
		if p.unheard[n] > 0 {
			return n
		}
	}
	return 0
}

// worthTrying reports whether a search should ask the peer.
func (p *peer) worthTrying(now time.Time) bool {
	return p.expired.IsZero() || now.Sub(p.expired) > retryExpired
}

func (p *peer) info(now time.Time) NodeInfo {
	return NodeInfo{ID: p.id, Addr: p.addr, Good: p.isGood(now), Heard: p.heard, Replied: p.replied}
}

// peers remembers the nodes of one family, at most max. A node that nobody holds may be forgotten at any time.
type peers struct {
	max  int
	byID map[Key]*peer
}

func newPeers(max int) *peers { return &peers{max: max, byID: map[Key]*peer{}} }

// intern returns the peer with this id. When it is known at another address, the known address counts as long as the
// peer seems alive there: otherwise anyone could move it. The result is nil when there is no room.
func (ps *peers) intern(id Key, addr netip.AddrPort, now time.Time) *peer {
	if p := ps.byID[id]; p != nil {
		if p.addr != addr && len(p.requests) == 0 && (!p.expired.IsZero() || now.Sub(p.heard) > goodHeard) {
			p.addr, p.expired, p.replied, p.heard = addr, time.Time{}, time.Time{}, time.Time{}
		}
		return p
	}
	if len(ps.byID) >= ps.max && !ps.forget(now) {
		return nil
	}
	p := &peer{id: id, addr: addr, fam: familyOf(addr.Addr())}
	ps.byID[id] = p
	return p
}

// forget drops a quarter of the peers, of those nobody holds: the longest silent first.
func (ps *peers) forget(now time.Time) bool {
	var idle []*peer
	for _, p := range ps.byID {
		if p.refs == 0 && len(p.requests) == 0 && len(p.sockets) == 0 {
			idle = append(idle, p)
		}
	}
	slices.SortFunc(idle, func(a, b *peer) int { return a.heard.Compare(b.heard) })
	idle = idle[:min(len(idle), max(1, ps.max/4))]
	for _, p := range idle {
		delete(ps.byID, p.id)
	}
	return len(idle) > 0
}

// closest returns up to n peers nearest to target that keep accepts, nearest first.
func (ps *peers) closest(target Key, n int, keep func(*peer) bool) []*peer {
	var found []*peer
	for _, p := range ps.byID {
		if keep(p) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b *peer) int { return target.CompareDistance(a.id, b.id) })
	return found[:min(n, len(found))]
}
