package dht

import (
	"bytes"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"rendezvous/dht/wire"
)

// testbed is an engine without goroutines: a test plays all others, datagram by datagram.
type testbed struct {
	*engine
	t    testing.TB
	jobs chan job
	sent []packet // by the engine, to .from
}

// testbedConn records what an engine sends.
type testbedConn struct {
	*memConn
	b *testbed
}

func (c testbedConn) WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error) {
	m, err := wire.Decode(p)
	if err != nil {
		c.b.t.Errorf("we sent what we cannot read: %v", err)
	}
	c.b.sent = append(c.b.sent, packet{to, m})
	return len(p), nil
}

func newTestbed(t testing.TB, cfg Config) *testbed {
	cfg.Limits = cfg.Limits.withDefaults()
	b := &testbed{t: t, jobs: make(chan job, 256)}
	n, err := New(Config{IPv4: "10.0.0.1:4222"})
	if err != nil {
		t.Fatal(err)
	}
	b.engine = newEngine(n.id, cfg, n.log, n.metrics, [numFamilies]packetConn{ipv4: testbedConn{newMemNet().connect(), b}}, b.jobs)
	b.upkeep.resolve = func() {}
	b.upkeep.save = func(state) {}
	b.begin()
	b.turn()
	return b
}

// receive has the engine take a message as it comes off the wire, does the crypto work it causes, and returns what it
// sent meanwhile.
func (b *testbed) receive(from netip.AddrPort, m *wire.Message) []packet {
	b.t.Helper()
	got, err := wire.Decode(m.Append(nil))
	if err != nil {
		b.t.Fatalf("test message: %v", err)
	}
	b.sent = nil
	b.onPacket(packet{from, got})
	b.turn()
	for len(b.jobs) > 0 {
		j := <-b.jobs
		j.do()
		j.then(b.engine)
		b.turn()
	}
	return b.sent
}

// converse is receive from somebody who is where they say: they answer pings.
func (b *testbed) converse(from netip.AddrPort, m *wire.Message) []packet {
	b.t.Helper()
	sent := b.receive(from, m)
	for _, p := range sent {
		if p.from == from && p.msg.Kind == wire.Request && p.msg.Method == wire.Ping {
			sent = append(sent, b.receive(from, &wire.Message{Kind: wire.Reply, TID: p.msg.TID, ID: m.ID})...)
		}
	}
	return sent
}

// answer returns the reply or error among packets.
func answer(t testing.TB, packets []packet) *wire.Message {
	t.Helper()
	for _, p := range packets {
		if p.msg.Kind == wire.Reply || p.msg.Kind == wire.Error {
			return p.msg
		}
	}
	return nil
}

func host(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{20, byte(i >> 16), byte(i >> 8), byte(i)}), 5000)
}

// token asks the engine for the token of an address.
func (b *testbed) token(from netip.AddrPort, id Key) []byte {
	b.t.Helper()
	a := answer(b.t, b.converse(from, &wire.Message{Kind: wire.Request, Method: wire.Get, TID: 1, ID: id, Target: KeyOfText("t")}))
	if a == nil || len(a.Token) == 0 {
		b.t.Fatal("no token")
	}
	return a.Token
}

func (b *testbed) putFrom(from netip.AddrPort, id Key, key Key, token []byte, v *Value) *wire.Message {
	b.t.Helper()
	m := &wire.Message{Kind: wire.Request, Method: wire.Put, TID: 2, ID: id, Target: key, Token: token,
		Values: []wire.ValuePart{{Packed: v.Pack()}}}
	return answer(b.t, b.receive(from, m))
}

// A token is good for one address and port, and for a limited time.
func TestReplayedToken(t *testing.T) {
	b := newTestbed(t, Config{})
	key, v := KeyOfText("guarded"), &Value{ID: 1, Data: []byte("x")}
	token := b.token(host(1), Key{1})
	otherPort := netip.AddrPortFrom(host(1).Addr(), 5001)
	for name, from := range map[string]netip.AddrPort{"another host": host(2), "another port": otherPort} {
		if a := b.putFrom(from, Key{2}, key, token, v); a.Kind != wire.Error || a.Code != wire.CodeUnauthorized {
			t.Errorf("%s with a stolen token got %+v", name, a)
		}
		listen := &wire.Message{Kind: wire.Request, Method: wire.Listen, TID: 3, ID: Key{2}, Target: key, Token: token, SocketID: 1, Version: 1}
		if a := answer(t, b.receive(from, listen)); a.Code != wire.CodeUnauthorized {
			t.Errorf("%s listened with a stolen token: %+v", name, a)
		}
		refresh := &wire.Message{Kind: wire.Request, Method: wire.Refresh, TID: 4, ID: Key{2}, Target: key, Token: token, ValueID: 1}
		if a := answer(t, b.receive(from, refresh)); a.Code != wire.CodeUnauthorized {
			t.Errorf("%s refreshed with a stolen token: %+v", name, a)
		}
	}
	if b.store.values != 0 || b.store.listening != 0 {
		t.Fatalf("%d values and %d listeners came in with stolen tokens", b.store.values, b.store.listening)
	}
	b.tokens.rotate()
	if a := b.putFrom(host(1), Key{1}, key, token, v); a.Kind != wire.Reply {
		t.Errorf("the token is refused after one rotation: %+v", a)
	}
	b.tokens.rotate()
	if a := b.putFrom(host(1), Key{1}, key, token, v); a.Code != wire.CodeUnauthorized {
		t.Errorf("an old token still counts: %+v", a)
	}
}

// Answers count only from where we asked, with the number we gave, by whom we asked.
func TestSpoofedAnswers(t *testing.T) {
	b := newTestbed(t, Config{})
	p := b.peers[ipv4].intern(Key{7}, host(7), b.now)
	var got int
	r := b.ask(p, &wire.Message{Method: wire.Find, Target: Key{9}}, nil, handler{reply: func(*wire.Message, [][]byte) { got++ }})
	real := wire.Message{Kind: wire.Reply, TID: r.tid, ID: Key{7}, Token: []byte("t"), SeenAt: host(1).Addr()}
	for name, spoof := range map[string]func(*wire.Message) netip.AddrPort{
		"another address": func(*wire.Message) netip.AddrPort { return host(8) },
		"another port":    func(*wire.Message) netip.AddrPort { return netip.AddrPortFrom(host(7).Addr(), 1) },
		"another number":  func(m *wire.Message) netip.AddrPort { m.TID++; return host(7) },
		"another id":      func(m *wire.Message) netip.AddrPort { m.ID = Key{8}; return host(7) },
	} {
		m := real
		b.receive(spoof(&m), &m)
		if got != 0 {
			t.Fatalf("an answer from %s counted", name)
		}
	}
	if good, dubious := b.tables[ipv4].count(b.now); good+dubious != 0 {
		t.Errorf("spoofed answers brought %d nodes into the table", good+dubious)
	}
	b.receive(host(7), &real)
	if got != 1 {
		t.Error("the real answer did not count")
	}
	b.receive(host(7), &real)
	if got != 1 {
		t.Error("the real answer counted twice")
	}
}

// Who uses another node's id does not take its place while that one is alive.
func TestImpostor(t *testing.T) {
	b := newTestbed(t, Config{})
	ping := &wire.Message{Kind: wire.Request, Method: wire.Ping, TID: 5, ID: Key{7}}
	b.converse(host(7), ping)
	b.receive(host(8), ping)
	p := b.peers[ipv4].byID[Key{7}]
	if p.addr != host(7) {
		t.Fatalf("the node moved to %s on somebody's word", p.addr)
	}
	// When the one we know does not answer any more, its place is free.
	b.peerExpired(p)
	b.receive(host(8), ping)
	if p.addr != host(8) {
		t.Error("the node cannot come back with another address")
	}
}

// Nodes that are only named, and never heard, do not get into the routing table, and are forgotten first.
func TestSybilLists(t *testing.T) {
	const limit = 200
	b := newTestbed(t, Config{Limits: Limits{KnownNodes: limit}})
	target := KeyOfText("attacked")
	op := &getOp{box: newMailbox[packedValue](10, &b.metrics.eventsDropped), seen: map[uint64]struct{}{}}
	b.converse(host(1), &wire.Message{Kind: wire.Request, Method: wire.Ping, TID: 1, ID: Key{1}})
	op.start(b.engine, target)
	b.turn()
	fake := 0
	for round := range 200 {
		var asked *request
		for _, p := range b.peers[ipv4].byID {
			for _, r := range p.requests {
				if r.method == wire.Get {
					asked = r
				}
			}
		}
		if asked == nil {
			break
		}
		// Whoever is asked answers with eight nodes ever nearer to the target, all on one machine.
		m := &wire.Message{Kind: wire.Reply, TID: asked.tid, ID: asked.peer.id, Token: []byte("t")}
		for range bucketSize {
			fake++
			id := target
			id[19], id[18], id[17] = byte(fake), byte(fake>>8), byte(round)
			m.Nodes4 = append(m.Nodes4, wire.Node{ID: id, Addr: netip.AddrPortFrom(host(99).Addr(), uint16(6000+fake))})
		}
		b.receive(asked.addr, m)
	}
	if fake < 3*bucketSize {
		t.Fatalf("only %d nodes were named: the attack did not take place", fake)
	}
	s := b.searches[ipv4][target]
	onAttacker := 0
	for _, c := range s.candidates {
		if c.peer.addr.Addr() == host(99).Addr() {
			onAttacker++
		}
	}
	if onAttacker > maxPerAddress {
		t.Errorf("one address has %d of the %d candidates", onAttacker, len(s.candidates))
	}
	if len(b.peers[ipv4].byID) > limit {
		t.Errorf("%d nodes remembered, limit %d", len(b.peers[ipv4].byID), limit)
	}
	if good, dubious := b.tables[ipv4].count(b.now); good+dubious > 1+maxPerAddress {
		t.Errorf("%d nodes in the table; only those that were heard may be", good+dubious)
	}
}

// One address cannot fill the routing table with invented ids, nor the memory of nodes.
func TestManyIDs(t *testing.T) {
	b := newTestbed(t, Config{})
	for i := range 20000 {
		id := Key{byte(i), byte(i >> 8), byte(i >> 16), 1}
		from := netip.AddrPortFrom(host(1).Addr(), uint16(1024+i%60000))
		b.receive(from, &wire.Message{Kind: wire.Request, Method: wire.Ping, TID: 1, ID: id})
	}
	if n := len(b.peers[ipv4].byID); n > 4096 {
		t.Errorf("%d nodes remembered", n)
	}
	for i, bk := range b.tables[ipv4].buckets {
		if len(bk.peers) > maxPerAddress {
			t.Errorf("bucket %d has %d nodes of one address", i, len(bk.peers))
		}
	}
}

// What one address stores is bounded, and so is all.
func TestStorageQuota(t *testing.T) {
	limits := Limits{StoreBytes: 100_000, StoreBytesPerAddress: 20_000, ValuesPerKey: 50}
	b := newTestbed(t, Config{Limits: limits})
	data := bytes.Repeat([]byte("x"), 400)
	for i := range 500 {
		from := host(1)
		b.putFrom(from, Key{1}, valueKey(i), b.tokens.issue(from), &Value{ID: uint64(i + 1), Data: data})
	}
	if b.store.bytes > limits.StoreBytesPerAddress {
		t.Errorf("one address stores %d bytes", b.store.bytes)
	}
	if b.store.byKey[valueKey(499)] == nil || b.store.byKey[valueKey(0)] != nil {
		t.Error("not the oldest values went")
	}
	for i := range 500 {
		from := host(i % 50)
		b.putFrom(from, Key{byte(i % 50), 1}, valueKey(i), b.tokens.issue(from), &Value{ID: uint64(1000 + i), Data: data})
	}
	if b.store.bytes > limits.StoreBytes {
		t.Errorf("%d bytes stored", b.store.bytes)
	}
	for i := range 100 {
		from := host(i)
		b.putFrom(from, Key{byte(i), 1}, KeyOfText("one key"), b.tokens.issue(from), &Value{ID: uint64(i + 1)})
	}
	if n := len(b.store.byKey[KeyOfText("one key")].values); n != limits.ValuesPerKey {
		t.Errorf("%d values at one key", n)
	}
	// The book-keeping agrees with what is there.
	values, size := 0, 0
	for _, sl := range b.store.byKey {
		for _, v := range sl.values {
			values++
			size += len(v.packed)
		}
	}
	used := 0
	for _, u := range b.store.usage {
		used += u.bytes
	}
	if values != b.store.values || size != b.store.bytes || used != size || values != len(b.store.expiry) {
		t.Errorf("counted %d values of %d bytes, booked %d of %d, by address %d, to expire %d",
			values, size, b.store.values, b.store.bytes, used, len(b.store.expiry))
	}
}

// Listeners are bounded, per node, per key and over all; one that does not answer is forgotten.
func TestListenerQuota(t *testing.T) {
	b := newTestbed(t, Config{Limits: Limits{Listeners: 60, ListenersPerKey: 40}})
	listen := func(node int, key Key, sid uint32) {
		from := host(node)
		b.receive(from, &wire.Message{Kind: wire.Request, Method: wire.Listen, TID: 3, ID: Key{byte(node), 9},
			Target: key, Token: b.tokens.issue(from), SocketID: sid, Version: 1})
	}
	for sid := range 100 {
		listen(1, KeyOfText("a"), uint32(sid+1))
	}
	if b.store.listening != maxListensPerPeer {
		t.Errorf("one node listens %d times at one key", b.store.listening)
	}
	for node := range 100 {
		listen(node+2, KeyOfText("a"), 1)
	}
	if b.store.listening != 40 {
		t.Errorf("%d listeners at one key", b.store.listening)
	}
	for node := range 100 {
		listen(node+2, KeyOfText("b"), 1)
	}
	if b.store.listening != 60 {
		t.Errorf("%d listeners in all", b.store.listening)
	}
	b.peerExpired(b.peers[ipv4].byID[Key{1, 9}])
	if b.store.listening != 60-maxListensPerPeer {
		t.Errorf("%d listeners after one node with %d was lost", b.store.listening, maxListensPerPeer)
	}
}

// Announced fragments cost nothing before they come, and are bounded after.
func TestPartialLimits(t *testing.T) {
	b := newTestbed(t, Config{Limits: Limits{PartialMessages: 50, PartialPerAddress: 5, PartialBytes: 1 << 20}})
	put := func(from netip.AddrPort, tid uint32, size int) {
		b.receive(from, &wire.Message{Kind: wire.Request, Method: wire.Put, TID: tid, ID: Key{1, byte(tid)},
			Target: Key{1}, Token: b.tokens.issue(from), Values: []wire.ValuePart{{Size: size}}})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for tid := range uint32(100) {
		put(host(1), tid+1, 60_000)
	}
	if n := len(b.partials.byKey); n != 5 {
		t.Errorf("%d messages of one address are being received", n)
	}
	for i := range 200 {
		put(host(i), 7, 60_000)
	}
	if n := len(b.partials.byKey); n > 50 || b.partials.bytes > 1<<20 {
		t.Errorf("%d messages of %d bytes are being received", n, b.partials.bytes)
	}
	runtime.ReadMemStats(&after)
	if grown := int(after.HeapAlloc) - int(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("announcements alone took %d bytes", grown)
	}
	// Without a valid token nothing is received at all.
	held := len(b.partials.byKey)
	b.receive(host(500), &wire.Message{Kind: wire.Request, Method: wire.Put, TID: 1, ID: Key{5}, Target: Key{1},
		Token: []byte("guess"), Values: []wire.ValuePart{{Size: 100}}})
	if len(b.partials.byKey) != held {
		t.Error("fragments are awaited from who has no token")
	}
	b.partials.expire(b.now.Add(partialLife + time.Second))
	if len(b.partials.byKey) != 0 || b.partials.bytes != 0 || len(b.partials.perAddr) != 0 {
		t.Error("what never came is still awaited")
	}
}

// A flood from one address is cut off, and others are served meanwhile.
func TestFlood(t *testing.T) {
	l := newRateLimit(8192, 1024)
	now := time.Now()
	var attacker, others int
	for range 100_000 {
		if l.allow(host(1).Addr(), now) {
			attacker++
		}
	}
	for i := range 1000 {
		if l.allow(host(100+i).Addr(), now) {
			others++
		}
	}
	if attacker != 1024 || others != 1000 {
		t.Errorf("%d requests of the attacker passed, %d of 1000 others", attacker, others)
	}
	for i := range 100_000 {
		if l.allow(host(i).Addr(), now) {
			others++
		}
	}
	if all, remembered := attacker+others, l.perAddress.Len(); all != 8192 || remembered > 8192 {
		t.Errorf("%d requests in a second, %d addresses remembered", all, remembered)
	}
	if !l.allow(host(1).Addr(), now.Add(time.Second)) {
		t.Error("the next second is refused too")
	}
}

// Whatever two datagrams say, the engine survives, sends only what can be read, and keeps its books.
func FuzzPackets(f *testing.F) {
	id := Key{3}
	for _, m := range []wire.Message{
		{Kind: wire.Request, Method: wire.Ping, TID: 1, ID: id},
		{Kind: wire.Request, Method: wire.Find, TID: 1, ID: id, Target: Key{1}, Want: wire.IPv4 | wire.IPv6},
		{Kind: wire.Request, Method: wire.Get, TID: 1, ID: id, Target: Key{1}, Query: &wire.Query{Select: []wire.Field{wire.FieldID, wire.FieldOwner}}},
		{Kind: wire.Request, Method: wire.Put, TID: 1, ID: id, Target: Key{1}, Values: []wire.ValuePart{{Size: 100}}},
		{Kind: wire.Request, Method: wire.Put, TID: 1, ID: id, Target: Key{1}, Values: []wire.ValuePart{{Packed: (&Value{ID: 1}).Pack()}}},
		{Kind: wire.Request, Method: wire.Refresh, TID: 1, ID: id, Target: Key{1}, ValueID: 5},
		{Kind: wire.Request, Method: wire.Listen, TID: 1, ID: id, Target: Key{1}, SocketID: 7, Version: 1},
		{Kind: wire.Request, Method: wire.Update, TID: 1, ID: id, Target: Key{1}, SocketID: 7, Expired: []uint64{5}},
		{Kind: wire.Fragments, TID: 1, Fragments: []wire.Fragment{{Index: 0, Offset: 0, Data: make([]byte, 50)}}},
		{Kind: wire.Reply, TID: 1, ID: id, Token: []byte("t"), Nodes4: []wire.Node{{ID: Key{9}, Addr: host(4)}}},
	} {
		f.Add(m.Append(nil), m.Append(nil))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		b := newTestbed(t, Config{})
		for _, p := range [][]byte{first, second} {
			m, err := wire.Decode(p)
			if err != nil {
				continue
			}
			if m.Method == wire.Put || m.Method == wire.Listen || m.Method == wire.Refresh {
				m.Token = b.tokens.issue(host(1)) // which a fuzzer cannot guess
			}
			b.onPacket(packet{host(1), m})
			b.turn()
			for len(b.jobs) > 0 {
				j := <-b.jobs
				j.do()
				j.then(b.engine)
			}
		}
		size := 0
		for _, sl := range b.store.byKey {
			for _, v := range sl.values {
				size += len(v.packed)
			}
		}
		if size != b.store.bytes {
			t.Fatalf("%d bytes stored, %d booked", size, b.store.bytes)
		}
	})
}
