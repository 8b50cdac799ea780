package dht

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
)

// One node serves several identities: what is encrypted to one is that one's alone.
func TestSeveralIdentities(t *testing.T) {
	alice, bob := accounts()[0].Device, accounts()[0].Master
	synctest.Test(t, func(t *testing.T) {
		nodes := startMemNetwork(t, newMemNet(), 4, Config{})
		defer closeAll(t, nodes...)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		key := KeyOfText("peer:both")
		var heard [2]<-chan Event
		for i, who := range []*identity.Identity{alice, bob} {
			events, err := nodes[1].Listen(ctx, key, DecryptWith(who), WhereUserType("peer_request"))
			if err != nil {
				t.Fatal(err)
			}
			heard[i] = events
		}
		time.Sleep(time.Second)
		put := func(to *identity.Identity, text, userType string) {
			v := &Value{Data: []byte(text), UserType: userType}
			if err := nodes[3].PutEncrypted(ctx, bob, to.PublicKey(), key, v); err != nil {
				t.Fatal(err)
			}
		}
		put(alice, "of another kind", "other")
		put(alice, "to alice", "peer_request")
		put(bob, "to bob", "peer_request")
		for i, want := range []string{"to alice", "to bob"} {
			if ev := <-heard[i]; string(ev.Value.Data) != want || ev.Value.Owner.ID() != bob.ID() {
				t.Errorf("identity %d heard %q first", i, ev.Value.Data)
			}
		}
		var plain int
		for v, err := range nodes[2].Get(ctx, key) {
			if err != nil || !v.IsEncrypted() {
				t.Errorf("without a key: %+v, %v", v, err)
			}
			plain++
		}
		if plain != 3 {
			t.Errorf("%d encrypted values", plain)
		}
	})
}

func TestConditions(t *testing.T) {
	me := accounts()[0].Device
	synctest.Test(t, func(t *testing.T) {
		nodes := startMemNetwork(t, newMemNet(), 4, Config{})
		defer closeAll(t, nodes...)
		ctx, key := context.Background(), KeyOfText("conditions")
		for _, v := range []*Value{
			{ID: 1, Data: []byte("one")},
			{ID: 2, Data: []byte("two"), UserType: "text/plain"},
			{ID: 3, Data: []byte("three"), Type: value.TrustRequest},
		} {
			if err := nodes[0].Put(ctx, key, v); err != nil {
				t.Fatal(err)
			}
		}
		if err := nodes[0].PutSigned(ctx, me, key, &Value{ID: 4, Data: []byte("four")}); err != nil {
			t.Fatal(err)
		}
		for want, option := range map[string]Option{
			"one": WhereID(1), "two": WhereUserType("text/plain"), "three": WhereType(value.TrustRequest), "four": WhereOwner(me.ID()),
		} {
			var found []string
			for v, err := range nodes[3].Get(ctx, key, option) {
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, string(v.Data))
			}
			if err := only(found, want); err != nil {
				t.Error(err)
			}
		}
	})
}

// A reader that takes nothing costs bounded memory, and the newest stays.
func TestSlowReader(t *testing.T) {
	var dropped counter
	box := newMailbox[packedValue](3, &dropped)
	for i := range 10 {
		box.send(packedValue{byte(i)})
	}
	box.end(nil)
	for want := 7; want < 10; want++ {
		if p, ok, err := box.next(context.Background()); !ok || err != nil || int(p[0]) != want {
			t.Errorf("got %v %v %v, want %d", p, ok, err, want)
		}
	}
	if _, ok, err := box.next(context.Background()); ok || err != nil || dropped.Load() != 7 {
		t.Errorf("end: %v %v, %d dropped", ok, err, dropped.Load())
	}
	large := newMailbox[packedValue](1000, &dropped)
	for range 100 {
		large.send(make(packedValue, 1<<20))
	}
	if large.bytes > maxMailboxBytes {
		t.Errorf("%d bytes wait", large.bytes)
	}
}

// A host without one of the families is served by the other; a port that is taken is an error.
func TestBinding(t *testing.T) {
	n, err := New(Config{IPv4: "127.0.0.1:0", IPv6: "[::]:0"})
	if err != nil {
		t.Fatal(err)
	}
	n.listen = func(f family, address string) (packetConn, error) {
		if f == ipv6 {
			return nil, fmt.Errorf("bind: %w", syscall.EAFNOSUPPORT)
		}
		return listenUDP(f, address)
	}
	if err := n.Start(context.Background()); err != nil || len(n.Addrs()) != 1 {
		t.Errorf("without IPv6: %v, %v", n.Addrs(), err)
	}
	defer n.Close()
	second, err := New(Config{IPv4: n.testAddr()})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Start(context.Background()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("on a port that is taken: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}
