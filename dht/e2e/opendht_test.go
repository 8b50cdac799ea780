package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rendezvous/dht"
	"rendezvous/dht/dhttest"
	"rendezvous/dht/identity"
	"rendezvous/dht/identity/identitytest"
	"rendezvous/dht/value"
	"rendezvous/internal/lab/opendht"
)

// testContext bounds a test generously: machines that run tests are slow and busy.
func testContext(t testing.TB, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// startDHTNode runs a real dhtnode until the test ends.
func startDHTNode(t testing.TB, ctx context.Context, o opendht.Options) *opendht.Node {
	t.Helper()
	n, err := opendht.StartNode(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Kill)
	return n
}

// startNetwork runs count dhtnodes that know each other.
func startNetwork(t testing.TB, ctx context.Context, count int) []*opendht.Node {
	t.Helper()
	var nodes []*opendht.Node
	for i := range count {
		o := opendht.Options{}
		if i > 0 {
			o.Bootstrap = nodes[0].Addr()
		}
		nodes = append(nodes, startDHTNode(t, ctx, o))
	}
	for _, n := range nodes {
		if err := n.WaitConnected(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return nodes
}

// getOne returns the first value at a key, trying until ctx ends: putting takes its time to be everywhere.
func getOne(ctx context.Context, n *dht.Node, key dht.Key, opts ...dht.Option) (*dht.Value, error) {
	for {
		for v, err := range n.Get(ctx, key, opts...) {
			if err == nil {
				return v, nil
			}
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("no value at %s: %w", key, ctx.Err())
		}
	}
}

// The plain things, with a network of dhtnodes: put here and get there, and the other way; large values; listening.
func TestRealPutGet(t *testing.T) {
	t.Parallel()
	ctx := testContext(t, 90*time.Second)
	real := startNetwork(t, ctx, 4)
	ours := dhttest.Start(t, dht.Config{Bootstrap: []string{real[0].Addr()}})
	if err := ours.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	python, err := opendht.StartRunner(ctx, "127.0.0.1", real[1].Port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(python.Kill)

	t.Run("put here, get there", func(t *testing.T) {
		v := &dht.Value{Data: []byte("from here"), UserType: "text/plain"}
		if err := ours.Put(ctx, dht.KeyOfText("here-there"), v); err != nil {
			t.Fatal(err)
		}
		if _, err := real[3].Ask(ctx, `data\(text/plain\):"from here"`, "g here-there"); err != nil {
			t.Error(err)
		}
		if _, err := real[2].Ask(ctx, fmt.Sprintf(`Value\[id:%x `, v.ID), "g here-there"); err != nil {
			t.Error(err)
		}
	})
	t.Run("put there, get here", func(t *testing.T) {
		m, err := real[3].Ask(ctx, `Put: success.*Value ID: ([0-9a-f]+)`, "p there-here from-there")
		if err != nil {
			t.Fatal(err)
		}
		v, err := getOne(ctx, ours, dht.KeyOfText("there-here"))
		if err != nil {
			t.Fatal(err)
		}
		if string(v.Data) != "from-there" || fmt.Sprintf("%x", v.ID) != m[1] {
			t.Errorf("got %q with id %x, dhtnode put id %s", v.Data, v.ID, m[1])
		}
	})
	t.Run("60 kB", func(t *testing.T) {
		large := bytes.Repeat([]byte("0123456789abcdef"), 60*1024/16)
		if err := ours.Put(ctx, dht.KeyOfText("large-here"), &dht.Value{Data: large}); err != nil {
			t.Fatal(err)
		}
		found, err := python.Get(ctx, "large-here")
		if err != nil || len(found) != 1 || !bytes.Equal(found[0], large) {
			t.Errorf("python found %d values, err %v", len(found), err)
		}
		large = bytes.Repeat([]byte("fedcba9876543210"), 60*1024/16)
		if ok, err := python.Put(ctx, "large-there", large); err != nil || !ok {
			t.Fatalf("python put: %v %v", ok, err)
		}
		v, err := getOne(ctx, ours, dht.KeyOfText("large-there"))
		if err != nil || !bytes.Equal(v.Data, large) {
			t.Errorf("large value from python: %v", err)
		}
	})
	t.Run("many values", func(t *testing.T) {
		for i := range 60 {
			if ok, err := python.Put(ctx, "many", fmt.Appendf(nil, "value %02d", i)); err != nil || !ok {
				t.Fatalf("python put %d: %v %v", i, ok, err)
			}
		}
		seen := map[string]bool{}
		for v, err := range ours.Get(ctx, dht.KeyOfText("many")) {
			if err != nil {
				t.Fatal(err)
			}
			seen[string(v.Data)] = true
		}
		if len(seen) != 60 {
			t.Errorf("found %d of 60 values", len(seen))
		}
	})
}

var accounts = identitytest.Accounts(1)

// account has small keys; making it takes a while.
func account() *identity.Account { return accounts()[0] }

// expectEvent waits for an event that match accepts.
func expectEvent(t *testing.T, ctx context.Context, events <-chan dht.Event, what string, match func(dht.Event) bool) {
	t.Helper()
	for {
		select {
		case ev, ok := <-events:
			if !ok {
				t.Fatalf("listen ended before %s", what)
			}
			if match(ev) {
				return
			}
		case <-ctx.Done():
			t.Fatalf("no event: %s", what)
		}
	}
}

// Listening on either side sees what the other puts, changes and lets expire.
func TestRealListen(t *testing.T) {
	t.Parallel()
	ctx := testContext(t, 90*time.Second)
	real := startNetwork(t, ctx, 2)
	ours := dhttest.Start(t, dht.Config{Bootstrap: []string{real[0].Addr()}})
	if err := ours.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	key := dht.KeyOfText("listened")
	events, err := ours.Listen(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	mark := real[1].Mark()
	if _, err := real[1].Ask(ctx, `Listening, token`, "l listened"); err != nil {
		t.Fatal(err)
	}

	if _, err := real[0].Ask(ctx, `Put: success`, "p listened theirs"); err != nil {
		t.Fatal(err)
	}
	expectEvent(t, ctx, events, "the dhtnode's put", func(ev dht.Event) bool { return string(ev.Value.Data) == "theirs" })

	v := &dht.Value{Data: []byte("version-0"), UserType: "text/plain"}
	if err := ours.PutSigned(ctx, account().Device, key, v); err != nil {
		t.Fatal(err)
	}
	if _, err := real[1].Expect(ctx, mark, fmt.Sprintf(`id:%x signed \(v0\).*"version-0"`, v.ID)); err != nil {
		t.Fatal(err)
	}
	v.Data = []byte("version-1")
	if err := ours.PutSigned(ctx, account().Device, key, v); err != nil {
		t.Fatal(err)
	}
	if v.Seq != 1 {
		t.Errorf("second version has seq %d", v.Seq)
	}
	if _, err := real[1].Expect(ctx, mark, fmt.Sprintf(`id:%x signed \(v1\).*"version-1"`, v.ID)); err != nil {
		t.Fatal(err)
	}
	expectEvent(t, ctx, events, "our own update", func(ev dht.Event) bool { return string(ev.Value.Data) == "version-1" })

	// Ten seconds before its end, put by a third node.
	third := dhttest.Start(t, dht.Config{Bootstrap: []string{real[0].Addr()}})
	if err := third.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	dated := &dht.Value{Type: value.ICECandidates, Data: []byte("short-lived")}
	mark = real[1].Mark()
	if err := third.PutCreated(ctx, key, dated, time.Now().Add(-50*time.Second)); err != nil {
		t.Fatal(err)
	}
	expectEvent(t, ctx, events, "the short-lived value", func(ev dht.Event) bool { return ev.Value.ID == dated.ID && !ev.Expired })
	expectEvent(t, ctx, events, "its expiry", func(ev dht.Event) bool { return ev.Value.ID == dated.ID && ev.Expired })
	if _, err := real[1].Expect(ctx, mark, `expired`); err != nil {
		t.Error(err)
	}
}

// A dhtnode that knows only our node listens at it: everything it hears, it hears from us.
func TestRealListensAtUs(t *testing.T) {
	t.Parallel()
	ctx := testContext(t, 90*time.Second)
	ours := dhttest.Start(t, dht.Config{})
	real := startDHTNode(t, ctx, opendht.Options{Bootstrap: dhttest.Addr(ours)})
	if err := real.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	other := dhttest.Start(t, dht.Config{Bootstrap: []string{dhttest.Addr(ours)}})
	if err := other.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	mark := real.Mark()
	if _, err := real.Ask(ctx, `Listening, token`, "l at-us"); err != nil {
		t.Fatal(err)
	}
	dated := &dht.Value{Type: value.ICECandidates, Data: []byte("short-lived")}
	if err := other.PutCreated(ctx, dht.KeyOfText("at-us"), dated, time.Now().Add(-52*time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := real.Expect(ctx, mark, fmt.Sprintf(`id:%x`, dated.ID)); err != nil {
		t.Fatal(err)
	}
	if _, err := real.Expect(ctx, mark, `[Ee]xpired`); err != nil {
		t.Fatal(err)
	}
}

// Two dhtnodes that know only our node find each other through it.
func TestRealJoinsThroughUs(t *testing.T) {
	t.Parallel()
	ctx := testContext(t, 60*time.Second)
	ours := dhttest.Start(t, dht.Config{})
	a := startDHTNode(t, ctx, opendht.Options{Bootstrap: dhttest.Addr(ours)})
	b := startDHTNode(t, ctx, opendht.Options{Bootstrap: dhttest.Addr(ours)})
	for _, n := range []*opendht.Node{a, b} {
		if err := n.WaitConnected(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for {
		if _, err := a.Ask(ctx, `IPv6 routing table`, "lr"); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.Join(a.Lines(0), "\n"), b.ID) {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("%s never heard of %s", a.ID, b.ID)
		}
	}
	// The value stays when our node goes, because a gave it to b, which it knows from us.
	if _, err := a.Ask(ctx, `Put: success`, "p through-us kept"); err != nil {
		t.Fatal(err)
	}
	ours.Close()
	if _, err := b.Ask(ctx, `"kept"`, "g through-us"); err != nil {
		t.Error(err)
	}
}

// Our node outlives all the others, and finds them again when they are back, or others in their place.
func TestRealNodesStop(t *testing.T) {
	t.Parallel()
	ctx := testContext(t, 90*time.Second)
	real := startNetwork(t, ctx, 2)
	ours := dhttest.Start(t, dht.Config{Bootstrap: []string{real[0].Addr()}})
	if err := ours.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	key := dht.KeyOfText("permanent")
	kept, err := ours.PutPermanent(ctx, key, &dht.Value{Data: []byte("permanent"), UserType: "text/plain"})
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	for _, n := range real {
		n.Kill()
	}
	// Alone: a look-up finds our own copy, and that nobody answers.
	var found int
	for v, err := range ours.Get(ctx, key) {
		switch {
		case err == nil && string(v.Data) == "permanent":
			found++
		case err != nil && !errors.Is(err, dht.ErrNoNodes) && !errors.Is(err, context.DeadlineExceeded):
			t.Errorf("alone: %v", err)
		}
	}
	if found != 1 {
		t.Errorf("alone: found %d values", found)
	}
	back := startDHTNode(t, ctx, opendht.Options{Port: real[0].Port})
	if err := ours.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	// The newcomer is given the permanent value without being asked for anything.
	for {
		if m, err := back.Ask(ctx, `Storage has (\d+) values`, "ll"); err != nil {
			t.Fatal(err)
		} else if m[1] != "0" {
			break
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal("the permanent value did not reach the new node")
		}
	}
	if _, err := back.Ask(ctx, `"permanent"`, "g permanent"); err != nil {
		t.Error(err)
	}
}

// IPv6 works like IPv4, and side by side with it.
func TestRealIPv6(t *testing.T) {
	t.Parallel()
	ctx := testContext(t, 60*time.Second)
	real := startDHTNode(t, ctx, opendht.Options{}) // binds both
	six := dhttest.Start(t, dht.Config{IPv6: "[::1]:0", Bootstrap: []string{fmt.Sprintf("[::1]:%d", real.Port)}})
	if err := six.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	if err := six.Put(ctx, dht.KeyOfText("by-six"), &dht.Value{Data: []byte("by-six"), UserType: "text/plain"}); err != nil {
		t.Fatal(err)
	}
	if _, err := real.Ask(ctx, `"by-six"`, "g by-six"); err != nil {
		t.Error(err)
	}
	if _, err := real.Ask(ctx, `Put: success`, "p for-six for-six"); err != nil {
		t.Fatal(err)
	}
	if v, err := getOne(ctx, six, dht.KeyOfText("for-six")); err != nil || string(v.Data) != "for-six" {
		t.Errorf("%v, %v", v, err)
	}
	// One that joins by either family has nodes in both.
	both := dhttest.Start(t, dht.Config{IPv4: "127.0.0.1:0", IPv6: "[::1]:0",
		Bootstrap: []string{real.Addr(), fmt.Sprintf("[::1]:%d", real.Port)}})
	for {
		s, err := both.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if s.IPv4.Good >= 1 && s.IPv6.Good >= 2 {
			break
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("knows %+v and %+v", s.IPv4, s.IPv6)
		}
	}
	if v, err := getOne(ctx, both, dht.KeyOfText("by-six")); err != nil || string(v.Data) != "by-six" {
		t.Errorf("%v, %v", v, err)
	}
}
