package dht

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/dht/identity"
	"rendezvous/dht/value"
)

// One node serves several identities: what is encrypted to one is that one's alone.
func TestSeveralIdentities(t *testing.T) {
	alice, bob := account(t).Device, account(t).Master
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
	me := account(t).Device
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

func TestErrors(t *testing.T) {
	ctx := context.Background()
	if _, err := New(Config{}); err == nil {
		t.Error("a node on no address")
	}
	if _, err := New(Config{IPv4: "127.0.0.1:0", Bootstrap: []string{"no port"}}); err == nil {
		t.Error("a bootstrap node without port")
	}
	idle, err := New(Config{IPv4: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := idle.Put(ctx, Key{1}, &Value{}); !errors.Is(err, ErrClosed) {
		t.Errorf("put before start: %v", err)
	}
	alone := startNode(t, Config{})
	if err := alone.Put(ctx, Key{1}, &Value{Data: []byte("mine")}); !errors.Is(err, ErrNoNodes) {
		t.Errorf("put alone: %v", err)
	}
	if err := alone.Put(ctx, Key{1}, &Value{Data: make([]byte, value.MaxSize+1)}); !errors.Is(err, value.ErrTooLarge) {
		t.Errorf("put of too much: %v", err)
	}
	if err := alone.Put(ctx, Key{}, &Value{}); err == nil {
		t.Error("put at key zero")
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := alone.WaitConnected(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with a cancelled context: %v", err)
	}
	// Closing ends what is under way.
	events, err := alone.Listen(ctx, Key{2})
	if err != nil {
		t.Fatal(err)
	}
	p, err := alone.PutPermanent(ctx, Key{3}, &Value{Data: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	alone.Close()
	if _, ok := <-events; ok {
		t.Error("an event after closing")
	}
	if err := p.Wait(ctx); !errors.Is(err, ErrClosed) {
		t.Errorf("permanent put after closing: %v", err)
	}
	for _, err := range alone.Get(ctx, Key{1}) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("get after closing: %v", err)
		}
	}
	if err := alone.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
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

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	n := startNode(t, Config{Metrics: registry})
	other := startNode(t, Config{Bootstrap: []string{n.testAddr()}})
	ctx := testContext(t, 30*time.Second)
	if err := other.Put(ctx, Key{1}, &Value{Data: []byte("counted")}); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, least := range map[string]float64{
		"dht_stored_values": 1, "dht_stored_bytes": 7, "dht_stored_keys": 1, "dht_nodes ipv4 good": 1,
		"dht_requests_total in put": 1, "dht_requests_total in ping": 1, "dht_requests_total out ping": 1,
		"dht_packets_total in": 2, "dht_bytes_total out": 50,
	} {
		if values[name] < least {
			t.Errorf("%s is %v, want at least %v", name, values[name], least)
		}
	}
	n.Close()
	if families, err := registry.Gather(); err != nil || len(families) != 0 {
		var names []string
		for _, f := range families {
			names = append(names, f.GetName())
		}
		t.Errorf("after closing, registered: %s (%v)", strings.Join(names, " "), err)
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
