package dht

import (
	"slices"
	"time"

	"rendezvous/internal/sourcenet"
)

// bucketSize is how many nodes a bucket holds, and how many are named in an answer.
const bucketSize = 8

// maxPerAddress bounds the nodes of one public address in a bucket and in a search, so that one host with many ids
// cannot fill either.
const maxPerAddress = 3

// bucket holds nodes that share a prefix of the same length with our id.
type bucket struct {
	peers     []*peer
	candidate *peer     // was turned away while the bucket was full
	confirmed time.Time // when one of its nodes last answered
}

// table is the routing table of one family. Only the bucket with our own id is ever split, so bucket i holds the nodes
// that share exactly i leading bits with us, and the last one all that share more.
type table struct {
	self    Key
	buckets []*bucket
}

func newTable(self Key) *table { return &table{self: self, buckets: []*bucket{{}}} }

func (t *table) index(id Key) int { return min(t.self.CommonBits(id), len(t.buckets)-1) }

func (t *table) bucketOf(id Key) *bucket { return t.buckets[t.index(id)] }

// insert offers a peer to the table. When its bucket is full of nodes that seem alive, the one to be pinged first
// is returned: if that does not answer, the peer takes its place.
func (t *table) insert(p *peer, now time.Time) (added bool, doubtful *peer) {
	for {
		i := t.index(p.id)
		b := t.buckets[i]
		if slices.Contains(b.peers, p) {
			return false, nil
		}
		if crowded(b.peers, p) {
			return false, nil
		}
		if len(b.peers) < bucketSize {
			b.add(p)
			return true, nil
		}
		if i == len(t.buckets)-1 && len(t.buckets) < 8*len(t.self) {
			t.split()
			continue
		}
		for k, old := range b.peers {
			if !old.expired.IsZero() {
				old.refs--
				b.peers = slices.Delete(b.peers, k, k+1)
				b.add(p)
				return true, nil
			}
		}
		b.setCandidate(p)
		for _, old := range b.peers {
			if !old.isGood(now) {
				return false, old
			}
		}
		return false, nil
	}
}

func (b *bucket) add(p *peer) {
	p.refs++
	b.peers = append(b.peers, p)
}

func (b *bucket) setCandidate(p *peer) {
	if b.candidate != nil {
		b.candidate.refs--
	}
	if b.candidate = p; p != nil {
		p.refs++
	}
}

// split divides the last bucket in two.
func (t *table) split() {
	last := t.buckets[len(t.buckets)-1]
	next := &bucket{confirmed: last.confirmed}
	t.buckets = append(t.buckets, next)
	kept := last.peers[:0]
	for _, p := range last.peers {
		if t.index(p.id) == len(t.buckets)-1 {
			next.peers = append(next.peers, p)
		} else {
			kept = append(kept, p)
		}
	}
	clear(last.peers[len(kept):])
	last.peers = kept
}

// expired takes a node that stopped answering out, if its bucket has a candidate for its place, which is returned.
func (t *table) expired(p *peer) *peer {
	b := t.bucketOf(p.id)
	i := slices.Index(b.peers, p)
	if i < 0 || b.candidate == nil || !b.candidate.expired.IsZero() {
		return nil
	}
	p.refs--
	b.peers = slices.Delete(b.peers, i, i+1)
	c := b.candidate
	b.setCandidate(nil)
	if slices.Contains(b.peers, c) {
		return nil
	}
	b.add(c)
	return c
}

// prune takes out nodes that have been silent for long.
func (t *table) prune(now time.Time, after time.Duration) {
	for _, b := range t.buckets {
		b.peers = slices.DeleteFunc(b.peers, func(p *peer) bool {
			gone := !p.expired.IsZero() && now.Sub(p.expired) > after
			if gone {
				p.refs--
			}
			return gone
		})
	}
}

// closest returns up to n nodes nearest to target that keep accepts, nearest first.
func (t *table) closest(target Key, n int, keep func(*peer) bool) []*peer {
	var found []*peer
	for _, b := range t.buckets {
		for _, p := range b.peers {
			if keep(p) {
				found = append(found, p)
			}
		}
	}
	slices.SortFunc(found, func(a, b *peer) int { return target.CompareDistance(a.id, b.id) })
	return found[:min(n, len(found))]
}

// count returns how many nodes are good, and how many not.
func (t *table) count(now time.Time) (good, dubious int) {
	for _, b := range t.buckets {
		for _, p := range b.peers {
			if p.isGood(now) {
				good++
			} else {
				dubious++
			}
		}
	}
	return good, dubious
}

// randomID returns an id that belongs into bucket i.
func (t *table) randomID(i int) Key {
	id := randomKey()
	for bit := range i {
		setBit(&id, bit, bitOf(t.self, bit))
	}
	if i < len(t.buckets)-1 {
		setBit(&id, i, !bitOf(t.self, i))
	}
	return id
}

func bitOf(k Key, bit int) bool { return k[bit/8]&(0x80>>(bit%8)) != 0 }

func setBit(k *Key, bit int, on bool) {
	if on {
		k[bit/8] |= 0x80 >> (bit % 8)
	} else {
		k[bit/8] &^= 0x80 >> (bit % 8)
	}
}

// crowded reports whether p's public address has its share of the peers already.
func crowded(peers []*peer, p *peer) bool {
	ip := p.addr.Addr()
	if ip.IsPrivate() || ip.IsLoopback() {
		return false
	}
	same := 0
	for _, o := range peers {
		if sourcenet.Of(o.addr.Addr()) == sourcenet.Of(ip) {
			same++
		}
	}
	return same >= maxPerAddress
}
