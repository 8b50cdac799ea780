package dht

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/dht/wire"
)

// onTheWire is what messages take of a network, with IP and UDP.
func onTheWire(messages ...*wire.Message) (bytes int) {
	for _, m := range messages {
		bytes += len(m.Append(nil)) + 28
	}
	return bytes
}

// Who sends from an address that nothing is known of gets at most three times as many bytes as they have sent, whatever
// they ask and however long one waits; and what they have asked, once they have shown that they are there.
func TestNoAmplification(t *testing.T) {
	key := KeyOfText("large")
	for name, m := range map[string]wire.Message{
		"ping":    {Method: wire.Ping},
		"find":    {Method: wire.Find, Target: key, Want: wire.IPv4 | wire.IPv6},
		"get":     {Method: wire.Get, Target: key},
		"put":     {Method: wire.Put, Target: key, Token: []byte("guessed"), Values: []wire.ValuePart{{Packed: (&Value{ID: 7, Data: []byte("x")}).Pack()}}},
		"refresh": {Method: wire.Refresh, Target: key, Token: []byte("guessed"), ValueID: 1},
		"listen":  {Method: wire.Listen, Target: key, Token: []byte("guessed"), SocketID: 1, Version: 1},
		"update":  {Method: wire.Update, Target: key, SocketID: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTestbed(t, Config{})
				for i := range 30 {
					id := Key{byte(i + 1), byte(i)}
					b.converse(host(i), &wire.Message{Kind: wire.Request, Method: wire.Ping, TID: 1, ID: id})
				}
				for i := range 2 {
					v := &Value{ID: uint64(i + 1), Cipher: bytes.Repeat([]byte{1}, 60000)}
					b.store.put(key, v, v.Pack(), time.Now(), time.Now(), host(1).Addr())
				}
				m.Kind, m.TID, m.ID = wire.Request, 9, Key{99}
				asked, got := 0, 0
				count := func(sent []packet) {
					for _, p := range sent {
						if p.from == host(500) {
							got += onTheWire(p.msg)
						}
					}
				}
				for range 50 { // the same again and again, as a flood has it
					asked += onTheWire(&m)
					count(b.receive(host(500), &m))
				}
				for range 300 { // and what comes of it by itself
					time.Sleep(100 * time.Millisecond)
					b.sent = nil
					b.turn()
					count(b.sent)
				}
				t.Logf("%d bytes are answered by %d: %.1f", asked, got, float64(got)/float64(asked))
				if got > 3*asked {
					t.Errorf("%d bytes are answered by %d", asked, got)
				}
				if m.Method == wire.Get {
					if a := answer(t, b.converse(host(500), &m)); a == nil || len(a.Token) == 0 || len(a.Values) != 2 {
						t.Errorf("proven, they get %+v", a)
					}
				}
			})
		})
	}
}

// An address that was seen lately can be forged too: what is answered to it has a bound.
func TestAnswersHaveABound(t *testing.T) {
	p, now, a := newProofs(), time.Unix(1000, 0), host(1).Addr()
	sent := 0
	for range 1000 {
		if p.spend(a, 10_000, now) {
			sent += 10_000
		}
	}
	if sent < answerBurst-10_000 || sent > answerBurst {
		t.Errorf("%d bytes at once", sent)
	}
	if !p.spend(host(2).Addr(), 10_000, now) {
		t.Error("another address has nothing")
	}
	if now = now.Add(time.Second); !p.spend(a, answerRate, now) || p.spend(a, 2*10_000, now) {
		t.Error("a second later")
	}
	if p.spend(a, answerBurst, now.Add(time.Hour)); p.answered.Len() != 2 {
		t.Errorf("%d addresses are remembered", p.answered.Len())
	}
}

// Addresses are proven for a while, and not without bound.
func TestProofsAge(t *testing.T) {
	p, now := newProofs(), time.Unix(1000, 0)
	p.add(host(1), now)
	if now = now.Add(proofLife/2 - 1); !p.has(host(1), now) || p.has(host(2), now) {
		t.Error("soon after")
	}
	if p.has(host(1), now.Add(proofLife)) {
		t.Error("long after")
	}
	for i := range 3 * mostProven {
		p.add(host(i), now)
	}
	if n := len(p.young) + len(p.old); n > mostProven {
		t.Errorf("%d addresses", n)
	}
}

// Forged addresses leave nothing behind, and a large request is not kept for who has proven nothing.
func TestForgedAddressesLeaveNothing(t *testing.T) {
	b := newTestbed(t, Config{})
	for i := range 100 {
		b.receive(host(i), &wire.Message{Kind: wire.Request, Method: wire.Ping, TID: 1, ID: Key{byte(i), 1}})
	}
	if n := b.proofs.answered.Len() + len(b.proofs.young); n != 0 {
		t.Errorf("%d addresses are remembered", n)
	}
	large := &wire.Message{Kind: wire.Request, Method: wire.Update, TID: 1, ID: Key{9}, Target: KeyOfText("t"), SocketID: 1,
		Values: []wire.ValuePart{{Packed: (&Value{ID: 7, Data: bytes.Repeat([]byte("x"), 2*heldBytes)}).Pack()}}}
	if b.receive(host(500), large); len(b.proofs.probes[host(500)].held) != 0 {
		t.Error("a large request is kept")
	}
}

// Of the addresses that are asked, and of what waits for them, there is a bound, and none is left.
func TestProbesHaveABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTestbed(t, Config{})
		for i := range 2 * mostProbed {
			for tid := range uint32(2 * mostHeld) {
				b.receive(host(i), &wire.Message{Kind: wire.Request, Method: wire.Get, TID: tid + 1, ID: Key{1}, Target: KeyOfText("t")})
			}
		}
		if n := len(b.proofs.probes); n != mostProbed {
			t.Errorf("%d addresses are asked", n)
		}
		if n := len(b.proofs.probes[host(0)].held); n != mostHeld {
			t.Errorf("%d requests wait", n)
		}
		time.Sleep(10 * time.Second)
		b.turn()
		if n := len(b.proofs.probes) + len(b.anonymous); n != 0 {
			t.Errorf("%d are still asked", n)
		}
	})
}
