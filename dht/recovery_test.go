package dht

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/dht/wire"
)

// A node that lost what it stored is given it again when the value is due to be refreshed.
func TestForgetfulNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := startMemNetwork(t, newMemNet(), 2, Config{})
		defer closeAll(t, nodes...)
		ctx, key := context.Background(), Key{1}
		p, err := nodes[0].PutPermanent(ctx, key, &Value{ID: 5, Data: []byte("again")})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		holds := func() (held bool) {
			if err := nodes[1].do(ctx, func(e *engine) { held = e.store.byKey[key].get(5) != nil }); err != nil {
				t.Fatal(err)
			}
			return held
		}
		if !holds() {
			t.Fatal("the value is not there")
		}
		if err := nodes[1].do(ctx, func(e *engine) { e.store.remove(e.store.byKey[key].get(5)) }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Minute)
		if !holds() {
			t.Error("the value was not put again")
		}
	})
}

// A token that is refused is asked for anew, and the put goes through.
func TestTokenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := startMemNetwork(t, newMemNet(), 2, Config{})
		defer closeAll(t, nodes...)
		ctx, key := context.Background(), Key{1}
		if err := nodes[0].Put(ctx, key, &Value{Data: []byte("first")}); err != nil {
			t.Fatal(err)
		}
		if err := nodes[1].do(ctx, func(e *engine) { e.tokens.rotate(); e.tokens.rotate() }); err != nil {
			t.Fatal(err)
		}
		if err := nodes[0].Put(ctx, key, &Value{Data: []byte("second")}); err != nil {
			t.Fatal(err)
		}
		s, err := nodes[1].Stats(ctx)
		if err != nil || s.Values != 2 {
			t.Errorf("%d values stored, %v", s.Values, err)
		}
	})
}

// What belongs to others is acknowledged, as all nodes do, but not kept.
func TestNotOurNeighbourhood(t *testing.T) {
	b := newTestbed(t, Config{})
	key := b.id
	key[0] ^= 0x80 // as far away as can be
	for i := range searchNodes {
		id := key
		id[19] ^= byte(i + 1)
		p := b.peers[ipv4].intern(id, netip.AddrPortFrom(host(i).Addr(), 5000), b.now)
		b.alive(p, true)
	}
	if good, _ := b.tables[ipv4].count(b.now); good < bucketSize {
		t.Fatalf("%d good nodes", good)
	}
	if a := b.putFrom(host(50), Key{50}, key, b.tokens.issue(host(50)), &Value{ID: 1}); a == nil || a.Kind != wire.Reply {
		t.Errorf("answered with %+v", a)
	}
	if b.store.values != 0 {
		t.Error("stored although nearer nodes are known")
	}
	if b.putFrom(host(50), Key{50}, b.id, b.tokens.issue(host(50)), &Value{ID: 1}); b.store.values != 1 {
		t.Error("not stored although we are nearest")
	}
}

// Node lists: our own id and impossible addresses are skipped, and a loopback address means the sender's host.
func TestListedNodes(t *testing.T) {
	b := newTestbed(t, Config{})
	from := &peer{id: Key{1}, addr: host(1), fam: ipv4}
	local := netip.MustParseAddrPort("127.0.0.1:4222")
	m := &wire.Message{Nodes4: []wire.Node{
		{ID: b.id, Addr: host(2)},
		{ID: Key{2}, Addr: local},
		{ID: Key{3}, Addr: netip.MustParseAddrPort("224.0.0.1:4222")},
		{ID: Key{4}, Addr: netip.MustParseAddrPort("8.8.8.8:0")},
		{ID: Key{}, Addr: host(3)},
		{ID: Key{5}, Addr: host(5)},
	}}
	got := b.listed(from, m, ipv4)
	if len(got) != 2 || got[0].Addr != netip.AddrPortFrom(host(1).Addr(), 4222) || got[1].Addr != host(5) {
		t.Errorf("usable: %v", got)
	}
}

// The table keeps its shape: eight nodes to a bucket, many buckets near us, newcomers instead of the dead.
func TestTable(t *testing.T) {
	now := time.Now()
	self := Key{}
	table := newTable(self)
	peerAt := func(common int, n byte) *peer {
		id := Key{19: n}
		setBit(&id, common, true)
		return &peer{id: id, addr: host(int(n) + 100*common), heard: now, replied: now}
	}
	for n := range byte(20) {
		table.insert(peerAt(0, n), now)
	}
	for common := 1; common < 6; common++ {
		for n := range byte(3) {
			if added, _ := table.insert(peerAt(common, n), now); !added {
				t.Errorf("node %d of bucket %d found no room", n, common)
			}
		}
	}
	if len(table.buckets[0].peers) != bucketSize || table.buckets[0].candidate == nil {
		t.Errorf("the far half has %d nodes", len(table.buckets[0].peers))
	}
	dead := table.buckets[0].peers[3]
	dead.expired = now
	waiting := table.buckets[0].candidate
	if took := table.expired(dead); took != waiting || waiting.refs != 1 || dead.refs != 0 {
		t.Errorf("%v took the dead node's place", took)
	}
	target := peerAt(4, 1).id
	closest := table.closest(target, 3, func(*peer) bool { return true })
	for i, p := range closest {
		if p.id.CommonBits(target) < 5 {
			t.Errorf("place %d of the closest shares %d bits only", i, p.id.CommonBits(target))
		}
	}
	for i := range table.buckets {
		if id := table.randomID(i); table.index(id) != i {
			t.Errorf("a random id for bucket %d belongs into %d", i, table.index(id))
		}
	}
}
