// Package dhttest starts nodes of the DHT for tests.
package dhttest

import (
	"context"
	"log/slog"
	"testing"

	"rendezvous/dht"
)

// Start runs a node until the test ends: on a free port of 127.0.0.1, unless cfg names an address.
// What it logs is in the output of a test that shows all.
func Start(t testing.TB, cfg dht.Config) *dht.Node {
	t.Helper()
	if cfg.IPv4 == "" && cfg.IPv6 == "" {
		cfg.IPv4 = "127.0.0.1:0"
	}
	if cfg.Logger == nil && testing.Verbose() {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	n, err := dht.New(cfg)
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

// Addr is where others reach a node, host:port.
func Addr(n *dht.Node) string { return n.Addrs()[0].String() }
