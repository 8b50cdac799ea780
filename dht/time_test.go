package dht

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rendezvous/dht/value"
)

// The tests here run on a clock that leaps: hours take milliseconds.

func TestValueLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := startMemNetwork(t, newMemNet(), 12, Config{})
		defer closeAll(t, nodes...)
		key := KeyOfText("ten minutes")
		if err := nodes[1].Put(context.Background(), key, &Value{Data: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Minute)
		if err := only(find(t, nodes[7], key), "x"); err != nil {
			t.Errorf("after nine minutes: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if found := find(t, nodes[7], key); len(found) != 0 {
			t.Errorf("after eleven minutes: found %q", found)
		}
	})
}

func TestPermanent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemNet()
		nodes := startMemNetwork(t, m, 12, Config{})
		defer func() { closeAll(t, nodes...) }()
		key := KeyOfText("for good")
		ctx := context.Background()
		p, err := nodes[0].PutPermanent(ctx, key, &Value{Data: []byte("kept")})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		if err := only(find(t, nodes[5], key), "kept"); err != nil {
			t.Errorf("after three hours: %v", err)
		}
		// The nodes that hold it go, others come: it moves.
		closeAll(t, nodes[1:]...)
		fresh := nodes[:1]
		for range 11 {
			fresh = append(fresh, startMem(t, m, Config{Bootstrap: []string{nodes[0].testAddr()}}))
		}
		nodes = fresh
		time.Sleep(20 * time.Minute)
		holders := 0
		for _, n := range nodes[1:] {
			if s, err := n.Stats(ctx); err == nil {
				holders += s.Values
			}
		}
		if holders < searchReach {
			t.Errorf("%d of the new nodes hold the value", holders)
		}
		p.Cancel()
		time.Sleep(15 * time.Minute)
		if found := find(t, nodes[5], key); len(found) != 0 {
			t.Errorf("fifteen minutes after cancelling: found %q", found)
		}
	})
}

func TestListenLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := startMemNetwork(t, newMemNet(), 12, Config{})
		defer closeAll(t, nodes...)
		ctx, cancel := context.WithCancel(context.Background())
		key := KeyOfText("long listen")
		events, err := nodes[3].Listen(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		start := time.Now()
		if err := nodes[8].Put(ctx, key, &Value{ID: 4, Data: []byte("late")}); err != nil {
			t.Fatal(err)
		}
		ev := <-events
		if string(ev.Value.Data) != "late" || ev.Expired || time.Since(start) > time.Second {
			t.Errorf("after an hour of listening: %+v in %v", ev, time.Since(start))
		}
		ev = <-events
		if !ev.Expired || ev.Value.ID != 4 {
			t.Errorf("second event: %+v", ev)
		}
		if age := time.Since(start); age < 10*time.Minute || age > 11*time.Minute {
			t.Errorf("the expiry was told after %v", age)
		}
		cancel()
		if ev, ok := <-events; ok {
			t.Errorf("after the end: %+v", ev)
		}
	})
}

// The host's address changes: the listen, which was bound to the old one, goes on.
func TestAddressChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemNet()
		nodes := startMemNetwork(t, m, 6, Config{})
		defer closeAll(t, nodes...)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		key := KeyOfText("moving listen")
		events, err := nodes[2].Listen(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		m.move(nodes[2].conns[ipv4].(*memConn))
		nodes[2].ConnectivityChanged()
		time.Sleep(time.Minute)
		if err := nodes[4].Put(ctx, key, &Value{Data: []byte("after the move")}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if ev := <-events; string(ev.Value.Data) != "after the move" || time.Since(start) > time.Second {
			t.Errorf("%+v after %v", ev, time.Since(start))
		}
	})
}

// One in five datagrams is lost: everything still works, it only takes longer.
func TestLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemNet()
		m.loss = 0.2
		nodes := startMemNetwork(t, m, 12, Config{})
		defer closeAll(t, nodes...)
		for i := range 10 {
			key := valueKey(i)
			large := make([]byte, 4000) // in fragments
			copy(large, fmt.Sprint("lossy ", i))
			if err := nodes[i].Put(context.Background(), key, &Value{Data: large}); err != nil {
				t.Errorf("put %d: %v", i, err)
			}
			if found := find(t, nodes[11-i], key); len(found) != 1 || found[0] != string(large) {
				t.Errorf("get %d found %d values", i, len(found))
			}
		}
	})
}

// An idle network stays connected, and costs little.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemNet()
		nodes := startMemNetwork(t, m, 20, Config{})
		defer closeAll(t, nodes...)
		time.Sleep(10 * time.Minute)
		before := m.datagrams()
		time.Sleep(4 * time.Hour)
		perMinute := float64(m.datagrams()-before) / (4 * 60) / float64(len(nodes))
		t.Logf("%.1f datagrams per node and minute", perMinute)
		if perMinute > 30 {
			t.Errorf("an idle node sends %.1f datagrams per minute", perMinute)
		}
		for _, n := range nodes {
			s, err := n.Stats(context.Background())
			if err != nil || s.IPv4.Good < 10 || s.IPv4.Dubious > 0 { // buckets have room for 8 of the farther half
				t.Errorf("after four hours a node knows %d good and %d dubious nodes (%v)", s.IPv4.Good, s.IPv4.Dubious, err)
			}
		}
	})
}

// MaintainStorage brings values to newcomers although their publisher is gone.
func TestMaintainStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemNet()
		cfg := Config{MaintainStorage: true}
		nodes := startMemNetwork(t, m, 4, cfg)
		key := KeyOfText("any key")
		v := &Value{ID: 9, Type: value.TrustRequest, Data: []byte("for a week")}
		if err := nodes[3].Put(context.Background(), key, v); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		closeAll(t, nodes[3])
		cfg.Bootstrap = []string{nodes[0].testAddr()}
		newcomer := startMem(t, m, cfg)
		time.Sleep(40 * time.Minute)
		closeAll(t, nodes[:3]...)
		s, err := newcomer.Stats(context.Background())
		if err != nil || s.Values != 1 {
			t.Errorf("the newcomer holds %d values, %v", s.Values, err)
		}
		closeAll(t, newcomer)
	})
}

// The state brings a node back into the network without any bootstrap name.
func TestState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemNet()
		nodes := startMemNetwork(t, m, 5, Config{})
		defer closeAll(t, nodes...)
		file := t.TempDir() + "/state.json"
		first := startMem(t, m, Config{Bootstrap: []string{nodes[0].testAddr()}, StateFile: file})
		if err := first.WaitConnected(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		closeAll(t, first)
		again := startMem(t, m, Config{StateFile: file})
		defer closeAll(t, again)
		start := time.Now()
		if err := again.WaitConnected(context.Background()); err != nil {
			t.Fatal(err)
		}
		if again.ID() != first.ID() || time.Since(start) > 5*time.Second {
			t.Errorf("node %s came back as %s after %v", first.ID(), again.ID(), time.Since(start))
		}
	})
}

// Networks with different numbers do not see each other.
func TestNetworkID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemNet()
		a := startMem(t, m, Config{Network: 7})
		b := startMem(t, m, Config{Network: 7, Bootstrap: []string{a.testAddr()}})
		c := startMem(t, m, Config{Network: 8, Bootstrap: []string{a.testAddr()}})
		defer closeAll(t, a, b, c)
		if err := b.WaitConnected(context.Background()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.WaitConnected(ctx); err == nil {
			t.Error("a node of another network connected")
		}
		if err := b.Put(context.Background(), KeyOfText("7"), &Value{Data: make([]byte, 3000)}); err != nil {
			t.Error(err)
		}
		if found := find(t, a, KeyOfText("7")); len(found) != 1 {
			t.Errorf("within the network, found %d values", len(found))
		}
	})
}

// A client is served, but nobody lists it.
func TestClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemNet()
		nodes := startMemNetwork(t, m, 5, Config{})
		client := startMem(t, m, Config{Client: true, Bootstrap: []string{nodes[0].testAddr()}})
		defer closeAll(t, append(nodes, client)...)
		if err := client.WaitConnected(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := client.Put(context.Background(), KeyOfText("c"), &Value{Data: []byte("by a client")}); err != nil {
			t.Fatal(err)
		}
		if err := only(find(t, nodes[4], KeyOfText("c")), "by a client"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		for _, n := range nodes {
			known, err := n.Nodes(context.Background())
			if err != nil || slices.ContainsFunc(known, func(k NodeInfo) bool { return k.ID == client.ID() }) {
				t.Errorf("the client is in a routing table (%v)", err)
			}
		}
	})
}
