package dht

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"rendezvous/dht/identity"
	"rendezvous/dht/internal/opendht"
	"rendezvous/dht/value"
	"rendezvous/dht/wire"
)

// testContext bounds a test generously: machines that run tests are slow and busy.
func testContext(t testing.TB, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// startNode runs a node of ours on a free loopback port until the test ends.
func startNode(t testing.TB, cfg Config) *Node {
	t.Helper()
	if cfg.IPv4 == "" && cfg.IPv6 == "" {
		cfg.IPv4 = "127.0.0.1:0"
	}
	if cfg.Logger == nil && testing.Verbose() {
		cfg.Logger = slog.New(slog.NewTextHandler(testWriter{t}, nil))
	}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func (n *Node) testAddr() string { return n.Addrs()[0].String() }

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
func getOne(ctx context.Context, n *Node, key Key, opts ...Option) (*Value, error) {
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
	ctx := testContext(t, 90*time.Second)
	real := startNetwork(t, ctx, 4)
	ours := startNode(t, Config{Bootstrap: []string{real[0].Addr()}})
	if err := ours.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	python, err := opendht.StartRunner(ctx, "127.0.0.1", real[1].Port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(python.Kill)

	t.Run("put here, get there", func(t *testing.T) {
		v := &Value{Data: []byte("from here"), UserType: "text/plain"}
		if err := ours.Put(ctx, KeyOfText("here-there"), v); err != nil {
			t.Fatal(err)
		}
		if _, err := real[3].Ask(ctx, `data\(text/plain\):"from here"`, "g here-there"); err != nil {
			t.Error(err)
		}
		if _, err := real[2].Ask(ctx, fmt.Sprintf(`Value\[id:%016x `, v.ID), "g here-there"); err != nil {
			t.Error(err)
		}
	})
	t.Run("put there, get here", func(t *testing.T) {
		m, err := real[3].Ask(ctx, `Put: success.*Value ID: ([0-9a-f]+)`, "p there-here from-there")
		if err != nil {
			t.Fatal(err)
		}
		v, err := getOne(ctx, ours, KeyOfText("there-here"))
		if err != nil {
			t.Fatal(err)
		}
		if string(v.Data) != "from-there" || fmt.Sprintf("%016x", v.ID) != fmt.Sprintf("%016s", m[1]) {
			t.Errorf("got %q with id %x, dhtnode put id %s", v.Data, v.ID, m[1])
		}
	})
	t.Run("60 kB", func(t *testing.T) {
		large := bytes.Repeat([]byte("0123456789abcdef"), 60*1024/16)
		if err := ours.Put(ctx, KeyOfText("large-here"), &Value{Data: large}); err != nil {
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
		v, err := getOne(ctx, ours, KeyOfText("large-there"))
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
		for v, err := range ours.Get(ctx, KeyOfText("many")) {
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

var _ = identity.KeyIDs{}
var _ = value.UserData
var _ = wire.Ping
